namespace Dbt.Tests.Translator.Protection;

/// <summary>Descriptors for test tables (SDM vol. 3, figures 3-8, 5-8, 6-2).</summary>
internal static class Descriptors
{
    /// <summary>Flat 32-bit code of a ring, accessed.</summary>
    public static ulong Code(int ring) => 0x00CF9B000000FFFF | ((ulong)ring << 45);

    /// <summary>Flat writable data of a ring, accessed.</summary>
    public static ulong Data(int ring) => 0x00CF93000000FFFF | ((ulong)ring << 45);

    /// <summary>Any flat segment by S and type (five bits).</summary>
    public static ulong Flat(int type, int dpl, bool present = true) =>
        0x00CF00000000FFFF | ((ulong)type << 40) | ((ulong)dpl << 45) | (present ? 1UL << 47 : 0);

    /// <summary>A system segment.</summary>
    public static ulong System(int type, int dpl, uint address, uint limit, bool present = true) =>
        (limit & 0xFFFF) | ((ulong)(address & 0xFFFFFF) << 16) | ((ulong)type << 40) | ((ulong)dpl << 45) | (present ? 1UL << 47 : 0)
        | ((ulong)(limit & 0xF0000) << 32) | ((ulong)(address >> 24) << 56);

    /// <summary>A gate of any type, with a number of parameters.</summary>
    public static ulong Gate(int type, int dpl, ushort selector, uint offset, bool present = true, int parameters = 0) =>
        (offset & 0xFFFF) | ((ulong)selector << 16) | ((ulong)(uint)parameters << 32) | ((ulong)type << 40) | ((ulong)dpl << 45)
        | (present ? 1UL << 47 : 0) | ((ulong)(offset & 0xFFFF0000) << 32);
}
