namespace Dbt.Translator.Protection;

/// <summary>Bits of the control registers, EFER and page-table entries (SDM vol. 3, 2.5 and 4.3 to 4.4).</summary>
internal static class ControlBits
{
    public const uint Cr0Pe = 1u << 0;
    public const uint Cr0Mp = 1u << 1;
    public const uint Cr0Em = 1u << 2;
    public const uint Cr0Ts = 1u << 3;
    public const uint Cr0Et = 1u << 4;
    public const uint Cr0Wp = 1u << 16;
    public const uint Cr0Nw = 1u << 29;
    public const uint Cr0Cd = 1u << 30;
    public const uint Cr0Pg = 1u << 31;

    public const uint Cr4Vme = 1u << 0;
    public const uint Cr4Pvi = 1u << 1;
    public const uint Cr4Tsd = 1u << 2;
    public const uint Cr4De = 1u << 3;
    public const uint Cr4Pse = 1u << 4;
    public const uint Cr4Pae = 1u << 5;
    public const uint Cr4Mce = 1u << 6;
    public const uint Cr4Pge = 1u << 7;
    public const uint Cr4Pce = 1u << 8;
    public const uint Cr4Osfxsr = 1u << 9;
    public const uint Cr4Osxmmexcpt = 1u << 10;
    public const uint Cr4Umip = 1u << 11;
    public const uint Cr4Smep = 1u << 20;

    public const ulong EferNxe = 1u << 11;

    public const ulong EntryPresent = 1;
    public const ulong EntryWrite = 2;
    public const ulong EntryUser = 4;
    public const ulong EntryAccessed = 0x20;
    public const ulong EntryDirty = 0x40;
    public const ulong EntryLarge = 0x80;
    public const ulong EntryGlobal = 0x100;
    public const ulong EntryNoExecute = 1UL << 63;
}
