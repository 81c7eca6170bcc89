using System.Runtime.Intrinsics;
using Iced.Intel;

namespace Dbt.Translator.Simd;

// AES (FIPS 197 as SDM vol. 1, 12.13 cuts it into rounds) and carry-less multiplication.
internal static unsafe partial class SimdTable
{
    private static readonly byte[] Substitution = new byte[256], InverseSubstitution = new byte[256];

    private static void AddCiphers()
    {
        FillSubstitution();
        Add(Mnemonic.Aesenc, Lanes<byte>((state, key) => MixColumns(Substitute(ShiftRows(state, 5), Substitution), 2, 3, 1, 1) ^ key));
        Add(Mnemonic.Aesenclast, Lanes<byte>((state, key) => Substitute(ShiftRows(state, 5), Substitution) ^ key));
        Add(Mnemonic.Aesdec, Lanes<byte>((state, key) => MixColumns(Substitute(ShiftRows(state, 13), InverseSubstitution), 14, 11, 13, 9) ^ key));
        Add(Mnemonic.Aesdeclast, Lanes<byte>((state, key) => Substitute(ShiftRows(state, 13), InverseSubstitution) ^ key));
        Add(Mnemonic.Aesimc, Lanes<byte>((_, key) => MixColumns(key, 14, 11, 13, 9)));
        Add(Mnemonic.Aeskeygenassist, (in SimdOperands o) =>
        {
            Vector128<uint> words = Substitute(o.Right<byte>(), Substitution).AsUInt32();
            uint constant = (uint)o.Immediate;
            uint first = words[1], third = words[3];
            o.Set(Vector128.Create(
                first, System.Numerics.BitOperations.RotateRight(first, 8) ^ constant, third, System.Numerics.BitOperations.RotateRight(third, 8) ^ constant));
        });
        Add(Mnemonic.Pclmulqdq, (in SimdOperands o) => o.Set(MultiplyCarryless(o.Left<ulong>()[o.Immediate & 1], o.Right<ulong>()[o.Immediate >> 4 & 1])));
    }

    private static void FillSubstitution()
    {
        // Inverses in GF(2^8) by powers of 3 and of its inverse, then the affine map.
        byte power = 1, inverse = 1;
        do
        {
            power ^= Twice(power);
            inverse ^= (byte)(inverse << 1);
            inverse ^= (byte)(inverse << 2);
            inverse ^= (byte)(inverse << 4);
            inverse ^= (inverse & 0x80) != 0 ? (byte)0x09 : (byte)0;
            byte mapped = 0x63;
            for (int i = 0; i < 5; i++)
            {
                mapped ^= (byte)((inverse << i) | (inverse >> (8 - i)));
            }

            Substitution[power] = mapped;
        }
        while (power != 1);

        Substitution[0] = 0x63;
        for (int i = 0; i < 256; i++)
        {
            InverseSubstitution[Substitution[i]] = (byte)i;
        }
    }

    private static byte Twice(byte value) => (byte)((value << 1) ^ ((value & 0x80) != 0 ? 0x1B : 0));

    // Row r of column c comes from column c + r; a step of 5 bytes goes to the next column and row, 13 backwards.
    private static Vector128<byte> ShiftRows(Vector128<byte> state, int step)
    {
        byte* result = stackalloc byte[16];
        for (int i = 0; i < 16; i++)
        {
            int row = i & 3;
            result[i] = state[(i - row + (row * step)) & 15];
        }

        return Vector128.Load(result);
    }

    private static Vector128<byte> Substitute(Vector128<byte> state, byte[] table)
    {
        byte* result = stackalloc byte[16];
        for (int i = 0; i < 16; i++)
        {
            result[i] = table[state[i]];
        }

        return Vector128.Load(result);
    }

    private static Vector128<byte> MixColumns(Vector128<byte> state, int a, int b, int c, int d)
    {
        byte* result = stackalloc byte[16];
        for (int i = 0; i < 16; i++)
        {
            int column = i & ~3;
            result[i] = (byte)(Multiply(state[i], a) ^ Multiply(state[column + ((i + 1) & 3)], b)
                ^ Multiply(state[column + ((i + 2) & 3)], c) ^ Multiply(state[column + ((i + 3) & 3)], d));
        }

        return Vector128.Load(result);
    }

    private static byte Multiply(byte value, int factor)
    {
        byte product = 0;
        for (; factor != 0; factor >>= 1, value = Twice(value))
        {
            product ^= (factor & 1) != 0 ? value : (byte)0;
        }

        return product;
    }

    private static Vector128<ulong> MultiplyCarryless(ulong left, ulong right)
    {
        ulong low = 0, high = 0;
        for (int i = 0; i < 64; i++)
        {
            ulong taken = 0 - (right >> i & 1);
            low ^= (left << i) & taken;
            high ^= i == 0 ? 0 : (left >> (64 - i)) & taken;
        }

        return Vector128.Create(low, high);
    }
}
