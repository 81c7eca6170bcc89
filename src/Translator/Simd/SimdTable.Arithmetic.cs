using System.Runtime.Intrinsics;
using Iced.Intel;

namespace Dbt.Translator.Simd;

// Lane by lane: addition, subtraction, average, minimum and maximum, sign, logic.
internal static partial class SimdTable
{
    private delegate Vector128<T> LaneOperation<T>(Vector128<T> left, Vector128<T> right);

    // Upper halves of MMX operands are 0 and never stored.
    private static SimdRoutine Lanes<T>(LaneOperation<T> operation)
        where T : unmanaged => (in SimdOperands o) => o.Set(operation(o.Left<T>(), o.Right<T>()));

    private static void AddArithmetic()
    {
        Add(Mnemonic.Paddb, Lanes<byte>((a, b) => a + b));
        Add(Mnemonic.Paddw, Lanes<ushort>((a, b) => a + b));
        Add(Mnemonic.Paddd, Lanes<uint>((a, b) => a + b));
        Add(Mnemonic.Paddq, Lanes<ulong>((a, b) => a + b));
        Add(Mnemonic.Psubb, Lanes<byte>((a, b) => a - b));
        Add(Mnemonic.Psubw, Lanes<ushort>((a, b) => a - b));
        Add(Mnemonic.Psubd, Lanes<uint>((a, b) => a - b));
        Add(Mnemonic.Psubq, Lanes<ulong>((a, b) => a - b));
        Add(Mnemonic.Paddsb, Lanes<sbyte>(Vector128.AddSaturate));
        Add(Mnemonic.Paddsw, Lanes<short>(Vector128.AddSaturate));
        Add(Mnemonic.Paddusb, Lanes<byte>(Vector128.AddSaturate));
        Add(Mnemonic.Paddusw, Lanes<ushort>(Vector128.AddSaturate));
        Add(Mnemonic.Psubsb, Lanes<sbyte>(Vector128.SubtractSaturate));
        Add(Mnemonic.Psubsw, Lanes<short>(Vector128.SubtractSaturate));
        Add(Mnemonic.Psubusb, Lanes<byte>(Vector128.SubtractSaturate));
        Add(Mnemonic.Psubusw, Lanes<ushort>(Vector128.SubtractSaturate));

        // The mean rounded up, without a carry that would need a ninth bit.
        Add(Mnemonic.Pavgb, Lanes<byte>((a, b) => (a | b) - ((a ^ b) >>> 1)));
        Add(Mnemonic.Pavgw, Lanes<ushort>((a, b) => (a | b) - ((a ^ b) >>> 1)));

        Add(Mnemonic.Pmaxsb, Lanes<sbyte>(Vector128.Max));
        Add(Mnemonic.Pmaxsw, Lanes<short>(Vector128.Max));
        Add(Mnemonic.Pmaxsd, Lanes<int>(Vector128.Max));
        Add(Mnemonic.Pmaxub, Lanes<byte>(Vector128.Max));
        Add(Mnemonic.Pmaxuw, Lanes<ushort>(Vector128.Max));
        Add(Mnemonic.Pmaxud, Lanes<uint>(Vector128.Max));
        Add(Mnemonic.Pminsb, Lanes<sbyte>(Vector128.Min));
        Add(Mnemonic.Pminsw, Lanes<short>(Vector128.Min));
        Add(Mnemonic.Pminsd, Lanes<int>(Vector128.Min));
        Add(Mnemonic.Pminub, Lanes<byte>(Vector128.Min));
        Add(Mnemonic.Pminuw, Lanes<ushort>(Vector128.Min));
        Add(Mnemonic.Pminud, Lanes<uint>(Vector128.Min));

        Add(Mnemonic.Pabsb, Lanes<sbyte>((_, b) => Magnitude(b)));
        Add(Mnemonic.Pabsw, Lanes<short>((_, b) => Magnitude(b)));
        Add(Mnemonic.Pabsd, Lanes<int>((_, b) => Magnitude(b)));
        Add(Mnemonic.Psignb, Lanes<sbyte>(Signed));
        Add(Mnemonic.Psignw, Lanes<short>(Signed));
        Add(Mnemonic.Psignd, Lanes<int>(Signed));

        foreach (Mnemonic and in (Mnemonic[])[Mnemonic.Pand, Mnemonic.Andps, Mnemonic.Andpd])
        {
            Add(and, Lanes<byte>((a, b) => a & b));
        }

        foreach (Mnemonic andNot in (Mnemonic[])[Mnemonic.Pandn, Mnemonic.Andnps, Mnemonic.Andnpd])
        {
            Add(andNot, Lanes<byte>((a, b) => ~a & b));
        }

        foreach (Mnemonic or in (Mnemonic[])[Mnemonic.Por, Mnemonic.Orps, Mnemonic.Orpd])
        {
            Add(or, Lanes<byte>((a, b) => a | b));
        }

        foreach (Mnemonic xor in (Mnemonic[])[Mnemonic.Pxor, Mnemonic.Xorps, Mnemonic.Xorpd])
        {
            Add(xor, Lanes<byte>((a, b) => a ^ b));
        }
    }

    // The least value is its own magnitude: not Vector128.Abs, which may refuse it.
    private static Vector128<T> Magnitude<T>(Vector128<T> value)
        where T : unmanaged => Vector128.ConditionalSelect(Vector128.LessThan(value, Vector128<T>.Zero), -value, value);

    private static Vector128<T> Signed<T>(Vector128<T> value, Vector128<T> sign)
        where T : unmanaged =>
        Vector128.ConditionalSelect(Vector128.LessThan(sign, Vector128<T>.Zero), -value, value)
            & ~Vector128.Equals(sign, Vector128<T>.Zero);
}
