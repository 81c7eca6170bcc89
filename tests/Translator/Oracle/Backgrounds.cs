using System.Runtime.InteropServices;
using static Dbt.Tests.Translator.Oracle.OracleLayout;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>Values that break arithmetic, and memory full of them.</summary>
internal static class Backgrounds
{
    /// <summary>Where return addresses lie in the first data page, and where they lead: to an INT3.</summary>
    public const uint ReturnAddresses = Data + 0x800, ReturnTarget = Code + 0x1E00;

    /// <summary>Where frames of EIP, CS, EFLAGS, ESP, SS lie.</summary>
    public const uint Frames = Data + 0xA00;

    /// <summary>Where 16-bit frames of IP, CS, FLAGS, SP, SS lie.</summary>
    public const uint ShortFrames = Data + 0xBA0;

    private static readonly uint[] Corners =
    [
        0, 1, 2, 3, 7, 8, 0xF, 0x10, 0x1F, 0x20, 0x21, 0x7F, 0x80, 0x81, 0xFE, 0xFF, 0x100, 0x7FFF, 0x8000, 0x8001, 0xFFFE, 0xFFFF,
        0x10000, 0x7FFFFFFE, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFF0000, 0xFFFF7FFF, 0xFFFF8000, 0xFFFFFF7F, 0xFFFFFF80,
        0xFFFFFFFE, 0xFFFFFFFF, 0x55555555, 0xAAAAAAAA, 0x09, 0x99, 0x9A, 0x0A,
    ];

    /// <summary>A corner value, a small one, or any.</summary>
    public static uint Value(Random random) => random.Next(10) switch
    {
        < 4 => Corners[random.Next(Corners.Length)],
        < 6 => (uint)random.Next(64),
        _ => Any(random),
    };

    /// <summary>Any value but a pointer into the harness.</summary>
    public static uint Any(Random random)
    {
        uint value = (uint)random.NextInt64(1L << 32);
        return IsHarness(value) ? ~value : value;
    }

    /// <summary>A background: corner and random values, some return addresses and frames, INT3 in the code pages.</summary>
    public static byte[] Make(Random random)
    {
        byte[] bytes = new byte[LiveBytes];
        Span<uint> words = MemoryMarshal.Cast<byte, uint>(bytes.AsSpan());
        for (int i = 0; i < CodeOffset / 4; i++)
        {
            words[i] = Value(random);
        }

        // Some of it for floating point: the quarter before each page's end, and the island.
        foreach (int offset in (int[])[0xC00, 0x1C00, 0x2C00, 0x3000, 0x3400])
        {
            FxStates.FillMemory(random, bytes.AsSpan(offset, 0x400));
        }

        for (int i = 0; i < 0x80; i++)
        {
            words[(int)((ReturnAddresses - Data) / 4) + i] = ReturnTarget + (uint)random.Next(64);
        }

        uint[] frame = [ReturnTarget, 0x23, 0x246, Data + 0x900, 0x2B];
        for (int i = 0; i < 100; i++)
        {
            words[(int)((Frames - Data) / 4) + i] = frame[i % 5] ^ (frame[i % 5] == 0x246 ? (uint)random.Next(4096) & 0xCD5 : 0);
        }

        Span<ushort> halves = MemoryMarshal.Cast<byte, ushort>(bytes.AsSpan((int)(ShortFrames - Data), 0x60));
        for (int i = 0; i < halves.Length; i++)
        {
            halves[i] = (i % 5) switch
            {
                0 => (ushort)(0x1E00 + random.Next(64)),
                1 => OracleSegments.Selector(i % 10 == 1 ? 0 : 12),
                2 => (ushort)(0x202 | (random.Next(4096) & 0xCD5)),
                3 => (ushort)random.Next(0x2000),
                _ => OracleSegments.Selector(2),
            };
        }

        bytes.AsSpan(CodeOffset).Fill(0xCC);
        return bytes;
    }
}
