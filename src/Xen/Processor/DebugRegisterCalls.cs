using Dbt.Xen.Abi;
using Dbt.Xen.Hypercalls;

namespace Dbt.Xen.Processor;

/// <summary>HYPERVISOR_set_debugreg and HYPERVISOR_get_debugreg (public/arch-x86/xen.h).</summary>
internal static class DebugRegisterCalls
{
    /// <summary>EBX register, ECX value.</summary>
    public static int Set(Vcpu vcpu, in HypercallArguments arguments) =>
        arguments.A1 > 7 ? -Errno.ENODEV : DebugRegisters.Write(vcpu, (int)arguments.A1, arguments.A2);

    /// <summary>EBX register; the result is its value, which a caller can't tell from an error.</summary>
    public static int Get(Vcpu vcpu, in HypercallArguments arguments) =>
        arguments.A1 <= 7 && DebugRegisters.TryRead(vcpu, (int)arguments.A1, out uint value) ? (int)value : -Errno.ENODEV;
}
