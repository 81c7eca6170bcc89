using static Dbt.Tests.Translator.Oracle.OracleLayout;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>A descriptor as Linux's calls take it (struct user_desc).</summary>
/// <param name="Entry">Index in its table.</param>
/// <param name="Base">Linear address of offset 0.</param>
/// <param name="Limit">Limit, in bytes or pages.</param>
/// <param name="Bits">1: 32-bit; 2: expand-down data; 4: code; 8: read-only or execute-only; 0x10: limit in pages; 0x20: not present; 0x40: AVL.</param>
internal readonly record struct UserDescriptor(uint Entry, uint Base, uint Limit, uint Bits)
{
    /// <summary>The descriptor that Linux makes of it: DPL 3, accessed.</summary>
    public ulong Descriptor
    {
        get
        {
            ulong type = 1 | ((Bits & 8) == 0 ? 2u : 0) | ((Bits & 6) << 1);
            ulong flags = ((Bits & 0x40) != 0 ? 1u : 0) | ((Bits & 1) != 0 ? 4u : 0) | ((Bits & 0x10) != 0 ? 8u : 0);
            return (Limit & 0xFFFF) | ((ulong)(Base & 0xFFFFFF) << 16) | ((0x70 | type) << 40) | ((Bits & 0x20) != 0 ? 0 : 1UL << 47)
                | ((ulong)(Limit >> 16) << 48) | (flags << 52) | ((ulong)(Base >> 24) << 56);
        }
    }
}

/// <summary>The segments that vectors may use besides Linux's own: the thread's three in the GDT, and an LDT with one of every kind.</summary>
internal static class OracleSegments
{
    /// <summary>The GDT's entries of the thread.</summary>
    public static readonly UserDescriptor[] Thread =
    [
        new(12, Data, 0xFFFFF, 0x51), new(13, Data + 0x1000, 0x7FF, 0x41), new(14, 0, 0xFFFFF, 0x51),
    ];

    /// <summary>The LDT.</summary>
    public static readonly UserDescriptor[] Local =
    [
        new(0, Code, 0x1FFF, 0x44),             // 16-bit code
        new(1, Data, 0x27FF, 0x40),             // 16-bit data, the end in the read-only page
        new(2, Data, 0x1FFF, 0x40),             // 16-bit stack
        new(3, Data, 0x7FF, 0x43),              // expand-down, up to 4 GiB
        new(4, Data, 0xFFF, 0x42),              // expand-down, up to 64 KiB
        new(5, 0, 0xFFFFF, 0x59),               // read-only
        new(6, 0, 0xFFFFF, 0x55),               // flat code
        new(7, 0, 0xFFFFF, 0x5D),               // flat code, not readable
        new(8, Code, 0x1FFF, 0x45),             // 32-bit code with a base
        new(9, 0, 0xFFFFF, 0x71),               // not present
        new(10, 0, 0xFFFFF, 0x51),              // flat data
        new(11, Data, 0xFFF, 0x41),             // a page of data
        new(12, Code, 0x30F, 0x44),             // 16-bit code that ends amid the vector's
        new(13, Code, 0x30F, 0x45),             // 32-bit code, likewise
        new(14, Code + 0x1E00 - 0x10000, 0x10FFF, 0x44), // 16-bit code beyond 64 KiB
        new(15, Data, 0x1FFE, 0x48),            // 16-bit data, read-only, its limit odd
    ];

    /// <summary>Selectors of the LDT.</summary>
    public static ushort Selector(int entry) => (ushort)((entry * 8) | 7);

    /// <summary>The code segments: 16-bit, 32-bit with a base, flat ones of the LDT; and Linux's own.</summary>
    public static readonly ushort[] Code16 = [Selector(0), Selector(0), Selector(0), Selector(12)];

    /// <summary>32-bit code segments.</summary>
    public static readonly ushort[] Code32 = [0x23, 0x23, Selector(6), Selector(7), Selector(8), Selector(8), Selector(13)];

    /// <summary>What SS may hold.</summary>
    public static readonly ushort[] Stacks = [0x2B, Selector(1), Selector(2), Selector(2), Selector(3), Selector(4), Selector(10), Selector(11)];

    /// <summary>What DS, ES, FS and GS may hold.</summary>
    public static readonly ushort[] Any =
    [
        0, 0x2B, 0x2B, 0x23, HarnessProgram.Tls0, HarnessProgram.Tls1, Selector(0), Selector(1), Selector(1), Selector(2), Selector(3), Selector(4),
        Selector(5), Selector(6), Selector(8), Selector(10), Selector(11), Selector(15),
    ];

    /// <summary>The descriptor of a selector, null where Linux's and our tables hold nothing that a vector may know.</summary>
    public static ulong? Find(ushort selector)
    {
        UserDescriptor[] table = (selector & 4) != 0 ? Local : Thread;
        foreach (UserDescriptor entry in table)
        {
            if (entry.Entry == (uint)(selector >> 3))
            {
                return entry.Descriptor;
            }
        }

        return (selector & ~3) switch { 0x20 => 0x00CFFB000000FFFF, 0x28 => 0x00CFF3000000FFFF, _ => null };
    }

    /// <summary>The hidden part of a segment register; null selectors give an unusable one.</summary>
    public static Dbt.Translator.State.Segment Load(ushort selector) =>
        Find(selector) is { } descriptor
            ? Dbt.Translator.State.Segment.FromDescriptor(selector, descriptor)
            : Dbt.Translator.State.Segment.Null(selector);
}
