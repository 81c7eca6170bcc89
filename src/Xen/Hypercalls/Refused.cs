using Dbt.Xen.Abi;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Hypercalls;

/// <summary>Hypercalls that exist, and that an ordinary PV domain gets an error from.</summary>
internal static class Refused
{
    private const uint HvmSetParam = 0, HvmGetParam = 1;

    /// <summary>For a control domain only.</summary>
    public static int NotPermitted(Vcpu vcpu, in HypercallArguments arguments) => -Errno.EPERM;

    /// <summary>Not of this kind of guest, or not of this version.</summary>
    public static int NotImplemented(Vcpu vcpu, in HypercallArguments arguments) => -Errno.ENOSYS;

    /// <summary>Built without.</summary>
    public static int NotSupported(Vcpu vcpu, in HypercallArguments arguments) => -Errno.EOPNOTSUPP;

    /// <summary>HYPERVISOR_hvm_op: EBX command, ECX pointer. A PV domain has no parameters.</summary>
    public static int HvmOp(Vcpu vcpu, in HypercallArguments arguments)
    {
        if (arguments.A1 is not (HvmSetParam or HvmGetParam))
        {
            return -Errno.ENOSYS;
        }

        return GuestAccess.TryRead(vcpu, arguments.A2, out (ulong, ulong) _) ? -Errno.EINVAL : -Errno.EFAULT;
    }
}
