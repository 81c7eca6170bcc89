using Dbt.Xen.Abi;

namespace Dbt.Xen.Memory;

/// <summary>Bits of a PAE page-table entry (SDM vol. 3, tables 4-8 to 4-11), and which of them a guest may set.</summary>
internal static class PageTableEntry
{
    public const ulong Present = 1, Writable = 2, User = 4, WriteThrough = 8, CacheDisable = 16, Accessed = 32, Dirty = 64;
    public const ulong LargePage = 128, Global = 256, Available = 7 << 9;
    public const ulong AvailableHigh = 0x7FFUL << 52, NoExecute = 1UL << 63;

    /// <summary>The frame's address, bits 12..51.</summary>
    public const ulong FrameMask = 0x000FFFFF_FFFFF000;

    /// <summary>Flags that an L1 entry may not have: cache attributes (a domain without devices), and bit 62, which marks grants.</summary>
    public const ulong L1Refused = WriteThrough | CacheDisable | LargePage | (1UL << 62);

    /// <summary>Flags that an L2 entry may not have; large pages are not offered.</summary>
    public const ulong L2Refused = WriteThrough | CacheDisable | LargePage | Global;

    /// <summary>Flags that an L3 entry may not have. R/W, U/S, A and D mean nothing there but are tolerated, as Xen does.</summary>
    public const ulong L3Refused = WriteThrough | CacheDisable | LargePage | Global | ~(FrameMask | 0xFFF);

    /// <summary>Flags whose change alone needs no new check (XSA-182): none of them widens what the frame may be used for.</summary>
    public const ulong FreelyChanged = NoExecute | AvailableHigh | Available | Global | Dirty | Accessed | User;

    /// <summary>First entry of the L2 in slot 3 that belongs to the hypervisor.</summary>
    public const int FirstHypervisorL2Slot = (int)((Layout.HypervisorStart >> 21) & 511);

    /// <summary>Frame number; may be beyond the machine.</summary>
    public static ulong Frame(ulong entry) => (entry & FrameMask) >> 12;

    public static bool IsPresent(ulong entry) => (entry & Present) != 0;
}
