using Dbt.Translator.State;
using Dbt.Xen.Abi;
using Dbt.Xen.Hypercalls;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Processor;

/// <summary>HYPERVISOR_nmi_op (public/nmi.h): the handler for NMIs that processors send each other.</summary>
internal static class NmiOp
{
    private const uint Register = 0, Unregister = 1;

    // TI_GET_IF: events are masked in it.
    private const byte MaskEvents = 4;

    /// <summary>EBX command, ECX pointer to struct xennmi_callback.</summary>
    public static int Call(Vcpu vcpu, in HypercallArguments arguments)
    {
        switch (arguments.A1)
        {
            case Register:
                if (!GuestAccess.TryRead(vcpu, arguments.A2, out ulong callback))
                {
                    return -Errno.EFAULT;
                }

                SetHandler(vcpu, (uint)callback);
                return 0;
            case Unregister:
                SetHandler(vcpu, 0);
                return 0;
            default:
                return -Errno.ENOSYS;
        }
    }

    /// <summary>Sets the handler's offset in the flat kernel segment; 0 removes it.</summary>
    public static void SetHandler(Vcpu vcpu, uint address) =>
        vcpu.Traps[(int)Vector.Nmi] = address == 0 ? default : new TrapEntry(MaskEvents, Layout.FlatRing1Cs, address);
}
