using System.Runtime.InteropServices;

namespace Dbt.Xen.Memory;

/// <summary>
/// What the hypervisor knows of one frame. <see cref="TypeInfo"/> and <see cref="References"/> change by compare-and-swap only, from any
/// thread; the other fields belong to whoever the comment says.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PageInfo
{
    /// <summary>Bits 0..31 type count, 32..39 <see cref="PageType"/>, above them <see cref="Validated"/> and its neighbours.</summary>
    public ulong TypeInfo;

    /// <summary>Bits 0..29 general references, 31 <see cref="Allocated"/>, 30 <see cref="HypervisorPage"/>.</summary>
    public uint References;

    /// <summary>Owning domain's id, 0 for none. Stable while a reference is held.</summary>
    public ushort Owner;

    /// <summary>
    /// Linear page tables (XSA-240): positive counts this L2's entries that lead to other L2s, negative counts other L2s' entries that lead
    /// here. Never both. Under the owner's page-table lock.
    /// </summary>
    public short LinearCount;

    /// <summary>First node of the list of address spaces that reached pages through this table; 0 for none. Under the owner's lock.</summary>
    public int FirstUse;

    /// <summary>Where the owner's software TLBs hold write entries to this frame; see <see cref="AddressSpaces"/>. Under the owner's lock.</summary>
    public uint WriteHint;

    public const ulong TypeMask = 0xFFUL << 32;
    public const ulong CountMask = uint.MaxValue;

    /// <summary>The contents were checked for the type.</summary>
    public const ulong Validated = 1UL << 40;

    /// <summary>One of the counts is a pin of the guest's.</summary>
    public const ulong Pinned = 1UL << 41;

    /// <summary>An L2 in slot 3 of an L3: its entries from the hypervisor's start on are not the guest's.</summary>
    public const ulong HypervisorL2 = 1UL << 42;

    public const uint ReferenceMask = 0x3FFFFFFF;

    /// <summary>The domain's own reference: it has the frame in its reservation.</summary>
    public const uint Allocated = 1u << 31;

    /// <summary>The hypervisor's page, shown to the guest (shared_info, grant frames): can't be given back, stolen or retyped.</summary>
    public const uint HypervisorPage = 1u << 30;

    public static PageType TypeOf(ulong typeInfo) => (PageType)(byte)(typeInfo >> 32);

    public static uint CountOf(ulong typeInfo) => (uint)typeInfo;
}
