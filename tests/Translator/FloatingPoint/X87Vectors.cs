using System.Buffers.Binary;
using Dbt.Tests.Translator.Oracle;
using Iced.Intel;

namespace Dbt.Tests.Translator.FloatingPoint;

/// <summary>
/// FX areas and memory operands for single x87 instructions: the oracle's states, with control words and operands that bring out ties,
/// cancellation, and results at the ends of the exponent range.
/// </summary>
internal static class X87Vectors
{
    /// <summary>An area in which no unmasked exception waits.</summary>
    public static byte[] Area(Random random)
    {
        byte[] area = FxStates.Make(random);
        int control = 0x40 | (random.Next(4) << 10) | ((int[])[0, 2, 3, 3])[random.Next(4)] << 8 | random.Next(4) switch
        {
            0 => random.Next(64),
            1 => 0x3F & ~(1 << random.Next(6)),
            _ => 0x3F,
        };
        int status = BinaryPrimitives.ReadUInt16LittleEndian(area.AsSpan(2)) & 0x7F00;
        status |= random.Next(4) == 0 ? random.Next(128) & (control | 0x40) : 0;
        BinaryPrimitives.WriteUInt16LittleEndian(area, (ushort)control);
        BinaryPrimitives.WriteUInt16LittleEndian(area.AsSpan(2), (ushort)status);
        if (random.Next(3) != 0)
        {
            area[4] = 0xFF;
        }

        // All registers with all kinds, and the first two related to each other.
        for (int i = 0; i < 8; i++)
        {
            if (random.Next(3) == 0)
            {
                Put(area, i, (ushort)random.Next(65536), Significand(random));
            }
        }

        if (random.Next(2) == 0)
        {
            int exponent = random.Next(4) switch { 0 => random.Next(0, 70), 1 => 0x7FFE - random.Next(0, 70), _ => 0x3FFF + random.Next(-70, 70) };
            Put(area, 0, Head(random, exponent), Significand(random));
            int other = random.Next(4) switch
            {
                0 => exponent,
                1 => (0x3FFF * 2) - exponent + random.Next(-70, 70),        // a product or quotient near one
                2 => 0x3FFF - (exponent - 0x3FFF) + (random.Next(2) == 0 ? 0x3FFE : -0x3FFE) + random.Next(-70, 70),
                _ => exponent + random.Next(-68, 68),
            };
            Put(area, random.Next(1, 8), Head(random, other), Significand(random));
            Put(area, 1, Head(random, other), Significand(random));
        }

        return area;
    }

    /// <summary>Gives a transcendental function mostly what it is defined for.</summary>
    public static void DrawArgument(Random random, Mnemonic mnemonic, byte[] area)
    {
        if (random.Next(8) == 0)
        {
            return;
        }

        // What the manual leaves open is left out: F2XM1 beyond 1, FYL2XP1 beyond sqrt(2) - 1.
        (int lowest, int highest) = mnemonic switch
        {
            Mnemonic.F2xm1 => (-70, 0),
            Mnemonic.Fyl2xp1 => (-70, -2),
            Mnemonic.Fyl2x => (random.Next(3) == 0 ? -16382 : -2, random.Next(3) == 0 ? 16384 : 2),
            Mnemonic.Fpatan => (-70, 70),
            _ => (-40, 66),
        };
        Put(area, 0, (ushort)(0x3FFF + random.Next(lowest, highest) + (random.Next(mnemonic == Mnemonic.Fyl2x ? 9 : 2) == 1 ? 0x8000 : 0)), Significand(random));
        if (random.Next(2) == 0)
        {
            Put(area, 1, (ushort)(0x3FFF + random.Next(-70, 70) + (random.Next(2) << 15)), Significand(random));
        }

        // The eighth register is free more often than not, so that there is room for a second result.
        if (random.Next(4) != 0)
        {
            area[4] &= (byte)~(1 << ((((area[3] >> 3) & 7) + 7) & 7));
        }
    }

    /// <summary>Sixteen bytes of memory.</summary>
    public static byte[] Memory(Random random)
    {
        byte[] memory = new byte[16];
        FxStates.FillMemory(random, memory);
        if (random.Next(8) == 0)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(memory, Significand(random) >> random.Next(64));
        }

        return memory;
    }

    /// <summary>Writes a register.</summary>
    public static void Put(byte[] area, int index, ushort head, ulong significand)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(area.AsSpan(32 + (16 * index)), significand);
        BinaryPrimitives.WriteUInt64LittleEndian(area.AsSpan(40 + (16 * index)), head);
    }

    /// <summary>Few ones, many ones, or anything; the leading bit set.</summary>
    public static ulong Significand(Random random)
    {
        ulong bits = (ulong)random.NextInt64(long.MinValue, long.MaxValue);
        return (1UL << 63) | random.Next(8) switch
        {
            0 => 0,
            1 => ulong.MaxValue << random.Next(64),
            2 => ulong.MaxValue,
            3 => 1UL << random.Next(64),
            4 => (1UL << random.Next(64)) | (1UL << random.Next(64)),
            5 => bits << random.Next(64),
            _ => bits,
        };
    }

    private static ushort Head(Random random, int exponent) => (ushort)(Math.Clamp(exponent, 0, 0x7FFE) | (random.Next(2) << 15));
}
