namespace Dbt.Xen.Abi;

/// <summary>Fixed addresses and limits of the i386 PAE paravirtual ABI (public/arch-x86/xen-x86_32.h).</summary>
public static class Layout
{
    /// <summary>Lowest linear address that belongs to the hypervisor (HYPERVISOR_VIRT_START); also where the machine-to-phys table starts.</summary>
    public const uint HypervisorStart = 0xF5800000;

    /// <summary>End of the machine-to-phys table's linear range (MACH2PHYS_VIRT_END).</summary>
    public const uint MachineToPhysEnd = 0xF6800000;

    /// <summary>Selectors that every guest finds in its GDT above its own entries.</summary>
    public const ushort FlatRing1Cs = 0xE019, FlatRing1Ds = 0xE021, FlatRing3Cs = 0xE02B, FlatRing3Ds = 0xE033;

    /// <summary>First GDT entry that the guest can't set (FIRST_RESERVED_GDT_ENTRY), and its page.</summary>
    public const int FirstReservedGdtEntry = 14 * 512, FirstReservedGdtPage = 14;

    /// <summary>Vector of a hypercall (INT 0x82) from ring 1.</summary>
    public const int HypercallVector = 0x82;

    /// <summary>Hypercall numbers go up to 63 (arch-specific ones from 48 on); each has 32 bytes in the hypercall page.</summary>
    public const int MaxHypercalls = 64;

    /// <summary>Bytes of one page.</summary>
    public const int PageSize = 4096;

    /// <summary>DOMID_SELF and its neighbours (public/xen.h).</summary>
    public const ushort DomidFirstReserved = 0x7FF0, DomidSelf = 0x7FF0, DomidIo = 0x7FF1, DomidXen = 0x7FF2, DomidInvalid = 0x7FF4;
}
