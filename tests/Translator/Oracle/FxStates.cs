using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>Random x87, MMX and SSE states in FXSAVE's layout (SDM vol. 1, 10.5.1), full of the values that break arithmetic.</summary>
internal static class FxStates
{
    private static readonly uint[] Singles =
    [
        0, 0x80000000, 0x3F800000, 0xBF800000, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00000, 0x7F800001, 0xFFA00000, 1, 0x80000001,
        0x007FFFFF, 0x00800000, 0x7F7FFFFF, 0x4F000000, 0xCF000000, 0x5F000000, 0x3F000000, 0x40490FDB, 0x3F800001, 0x4B000001,
    ];

    private static readonly ulong[] Doubles =
    [
        0, 1UL << 63, 0x3FF0000000000000, 0xBFF0000000000000, 0x7FF0000000000000, 0xFFF0000000000000, 0x7FF8000000000000, 0xFFF8000000000000,
        0x7FF0000000000001, 0xFFF4000000000000, 1, 0x8000000000000001, 0x000FFFFFFFFFFFFF, 0x0010000000000000, 0x7FEFFFFFFFFFFFFF,
        0x41E0000000000000, 0xC1E0000000000000, 0x43E0000000000000, 0x3FE0000000000000, 0x400921FB54442D18, 0x3FF0000000000001, 0x36A0000000000000,
        0x380FFFFFE0000000, 0x47EFFFFFF0000000,
    ];

    private static readonly (ushort Exponent, ulong Mantissa)[] Extended =
    [
        (0, 0), (0x8000, 0), (0x3FFF, 1UL << 63), (0xBFFF, 1UL << 63), (0x7FFF, 1UL << 63), (0xFFFF, 1UL << 63),
        (0x7FFF, 0xC000000000000000), (0xFFFF, 0xC000000000000000), (0x7FFF, 0x8000000000000001), (0xFFFF, 0xA000000000000000),
        (0, 1), (0x8000, 0x7FFFFFFFFFFFFFFF), (0, 1UL << 63), (1, 1UL << 63), (0x7FFE, ulong.MaxValue), (0x3FFE, 1UL << 63),
        (0x403E, 1UL << 63), (0xC03E, 1UL << 63), (0x401E, 1UL << 63), (0x4000, 0xC90FDAA22168C235), (0x3FFF, 0x8000000000000001),
        (0x4035, 0x4000000000000000), (0x7FFF, 0), (0x7FFF, 0x4000000000000000), (0x3FFD, 0xB504F333F9DE6485), (0x4005, 0x8000000000000000),
    ];

    /// <summary>A state that FXRSTOR takes.</summary>
    public static byte[] Make(Random random)
    {
        byte[] fx = new byte[512];
        int control = 0x037F;
        if (random.Next(2) == 0)
        {
            control = (control & ~0xF00) | (random.Next(4) << 10) | (((int[])[0, 2, 3, 3])[random.Next(4)] << 8);
        }

        if (random.Next(5) == 0)
        {
            control &= ~(random.Next(64) & random.Next(64));
        }

        int status = (random.Next(8) << 11) | (random.Next(3) == 0 ? random.Next(16) switch { var c => ((c & 7) << 8) | ((c & 8) << 11) } : 0);
        if (random.Next(8) == 0)
        {
            status |= random.Next(64) & random.Next(64);
            if (random.Next(4) != 0)
            {
                status &= control | ~0x3F;
            }

            // The summary follows from flags and masks.
            status |= (status & ~control & 0x3F) != 0 ? 0x8080 : 0;
        }

        int tags = random.Next(3) switch { 0 => 0xFF, 1 => random.Next(256), _ => random.Next(256) | random.Next(256) };
        int vector = 0x1F80;
        if (random.Next(2) == 0)
        {
            vector |= random.Next(4) << 13;
            vector |= random.Next(6) switch { 0 => 0x8000, 1 => 0x40, 2 => 0x8040, _ => 0 };
        }

        if (random.Next(5) == 0)
        {
            vector &= ~((random.Next(64) & random.Next(64)) << 7);
        }

        if (random.Next(5) == 0)
        {
            vector |= random.Next(64);
        }

        BinaryPrimitives.WriteUInt16LittleEndian(fx, (ushort)control);
        BinaryPrimitives.WriteUInt16LittleEndian(fx.AsSpan(2), (ushort)status);
        fx[4] = (byte)tags;
        BinaryPrimitives.WriteInt32LittleEndian(fx.AsSpan(24), vector);
        for (int i = 0; i < 8; i++)
        {
            Ten(random, fx.AsSpan(32 + (16 * i), 10));
            Sixteen(random, fx.AsSpan(160 + (16 * i), 16));
        }

        return fx;
    }

    /// <summary>Floating-point, packed and decimal operands for memory.</summary>
    public static void FillMemory(Random random, Span<byte> memory)
    {
        for (int i = 0; i + 16 <= memory.Length; i += 16)
        {
            if (random.Next(2) == 0)
            {
                Sixteen(random, memory.Slice(i, 16));
            }
            else
            {
                Ten(random, memory.Slice(i, 10));
            }
        }
    }

    private static void Ten(Random random, Span<byte> value)
    {
        (ushort exponent, ulong mantissa) = random.Next(10) switch
        {
            < 3 => Extended[random.Next(Extended.Length)],
            < 6 => ((ushort)(0x3FFF + random.Next(-4, 70) + (random.Next(2) << 15)), (ulong)random.NextInt64(long.MinValue, long.MaxValue) | (1UL << 63)),
            6 => ((ushort)(0x3FFF + random.Next(0, 64) + (random.Next(2) << 15)), (1UL << 63) | ((ulong)random.Next(16) << 59)),
            7 => ((ushort)random.Next(65536), (ulong)random.NextInt64(long.MinValue, long.MaxValue) | (1UL << 63)),
            8 => ((ushort)0xFFFF, (ulong)random.NextInt64(long.MinValue, long.MaxValue)),
            _ => Decimal(random),
        };
        BinaryPrimitives.WriteUInt64LittleEndian(value, mantissa);
        BinaryPrimitives.WriteUInt16LittleEndian(value[8..], exponent);
    }

    // An 18-digit packed decimal.
    private static (ushort, ulong) Decimal(Random random)
    {
        ulong digits = 0;
        for (int i = 0; i < 16; i++)
        {
            digits = (digits << 4) | (uint)random.Next(10);
        }

        return ((ushort)((random.Next(2) << 15) | (random.Next(10) << 4) | random.Next(10)), digits);
    }

    private static void Sixteen(Random random, Span<byte> value)
    {
        switch (random.Next(4))
        {
            case 0:
                Span<uint> singles = MemoryMarshal.Cast<byte, uint>(value);
                for (int i = 0; i < 4; i++)
                {
                    singles[i] = random.Next(2) == 0 ? Singles[random.Next(Singles.Length)] : (uint)random.NextInt64(1L << 32) & 0x87FFFFFF | 0x38000000;
                }

                break;
            case 1:
                Span<ulong> doubles = MemoryMarshal.Cast<byte, ulong>(value);
                for (int i = 0; i < 2; i++)
                {
                    doubles[i] = random.Next(2) == 0
                        ? Doubles[random.Next(Doubles.Length)]
                        : ((ulong)random.NextInt64(long.MinValue, long.MaxValue) & 0x83FFFFFFFFFFFFFF) | 0x3C00000000000000;
                }

                break;
            case 2:
                Span<uint> words = MemoryMarshal.Cast<byte, uint>(value);
                for (int i = 0; i < 4; i++)
                {
                    words[i] = Backgrounds.Value(random);
                }

                break;
            default:
                random.NextBytes(value);
                break;
        }
    }
}
