using Dbt.Xen.Abi;

namespace Dbt.Xen.Hypercalls;

/// <summary>Hypercalls that exist, and that an ordinary PV domain gets an error from.</summary>
internal static class Refused
{
    /// <summary>For a control domain only.</summary>
    public static int NotPermitted(Vcpu vcpu, in HypercallArguments arguments) => -Errno.EPERM;

    /// <summary>Not of this kind of guest, or not of this version.</summary>
    public static int NotImplemented(Vcpu vcpu, in HypercallArguments arguments) => -Errno.ENOSYS;

    /// <summary>Built without.</summary>
    public static int NotSupported(Vcpu vcpu, in HypercallArguments arguments) => -Errno.EOPNOTSUPP;
}
