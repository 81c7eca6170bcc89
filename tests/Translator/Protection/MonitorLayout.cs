namespace Dbt.Tests.Translator.Protection;

/// <summary>
/// Where the bare-metal test program has its things, and the shape of its records. The block from <see cref="Tables"/> is copied from
/// <see cref="Pristine"/> before each case.
/// </summary>
internal static class MonitorLayout
{
    public const uint Image = 0x100000;

    /// <summary>INT <see cref="Done"/>: where far transfers of the cases go.</summary>
    public const uint Landing = Image + 0x30;
    public const uint Tables = 0x110000;
    public const uint Gdt = Tables, Ldt = Tables + 0x200, MainTss = Tables + 0x300, OtherTss = Tables + 0x400;
    public const uint SmallTss = Tables + 0x500, FaultTss = Tables + 0x600, Idt = Tables + 0x700;
    public const int TablesLength = 0xA00;
    public const uint Pristine = 0x112000;
    public const uint Variables = 0x114000;
    public const uint Results = Variables + 0x100;
    public const uint FarPointer = Variables + 0x200;
    public const uint Scratch = Variables + 0x400;
    public const uint MonitorStack = 0x117000, HandlerStack = 0x119000, TestStack = 0x11B000, InnerStack1 = 0x11D000, InnerStack2 = 0x11E000;
    public const uint OtherStack = 0x11F000;

    /// <summary>Page tables of the paging program, and what they map.</summary>
    public const uint PageDirectory = 0x120000, Table = 0x121000, PointerTable = 0x122000, PaeDirectory = 0x123000, PaeTable = 0x127000;
    public const uint IdentityTable = 0x128000;

    public const uint Records = 0x140000;

    /// <summary>The page that paging cases touch: linear, and what is behind it.</summary>
    public const uint TestLinear = 0x00C00000, TestPhysical = 0x00800000;

    // A record: what to do with one case.
    public const int RecordLength = 64;
    public const int Op = 0, Setup = 4, Cs = 8, Ss = 12, Eflags = 16, Eax = 20, Ebx = 24, Ecx = 28, Edx = 32;
    public const int DescriptorA = 36, DescriptorB = 44, Length = 52, Aux0 = 56, Aux1 = 60;

    // A result, in 32-bit words.
    public const int ResultWords = 20;

    // Selectors. Code and data of each ring: 8 + 16 * ring, 16 + 16 * ring.
    public const ushort MainTask = 0x48, LocalTable = 0x50, OtherTask = 0x58, SmallTask = 0x60, FaultTask = 0x68;
    public const ushort SlotA = 0x80, SlotB = 0x88;

    /// <summary>Vector that ends a case which did not fault.</summary>
    public const int Done = 0x40;

    /// <summary>Vector whose gate the cases choose.</summary>
    public const int TestVector = 0x41;

    public static ushort CodeOf(int ring) => (ushort)(8 + (16 * ring) + ring);

    public static ushort DataOf(int ring) => (ushort)(16 + (16 * ring) + ring);
}
