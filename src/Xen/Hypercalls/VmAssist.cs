using Dbt.Xen.Abi;

namespace Dbt.Xen.Hypercalls;

/// <summary>HYPERVISOR_vm_assist (public/xen.h): behaviours that a guest turns on, kept as bits in <see cref="Domain.VmAssist"/>.</summary>
internal static class VmAssist
{
    private const uint Enable = 0, Disable = 1;

    /// <summary>
    /// 4gb_segments and its notification (without effect, there is no segment limit to simulate), writable_pagetables,
    /// pae_extended_cr3, architectural_iopl, runstate_update_flag.
    /// </summary>
    private const uint Valid = 0x3F;

    // runstate_update_flag.
    private const uint ValidTranslated = 1 << 5;

    /// <summary>EBX command, ECX type.</summary>
    public static int Call(Vcpu vcpu, in HypercallArguments arguments)
    {
        uint valid = vcpu.Domain.Hvm is null ? Valid : ValidTranslated;
        if (arguments.A2 >= 32 || (valid >> (int)arguments.A2 & 1) == 0)
        {
            return -Errno.EINVAL;
        }

        uint bit = 1u << (int)arguments.A2;
        switch (arguments.A1)
        {
            case Enable:
                vcpu.Domain.VmAssist |= bit;
                return 0;
            case Disable:
                vcpu.Domain.VmAssist &= ~bit;
                return 0;
            default:
                return -Errno.ENOSYS;
        }
    }
}
