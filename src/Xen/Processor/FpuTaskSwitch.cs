using Dbt.Xen.Hypercalls;

namespace Dbt.Xen.Processor;

/// <summary>HYPERVISOR_fpu_taskswitch (public/arch-x86/xen.h): sets or clears CR0.TS.</summary>
internal static class FpuTaskSwitch
{
    /// <summary>EBX non-zero to set.</summary>
    public static int Call(Vcpu vcpu, in HypercallArguments arguments)
    {
        ControlRegisters.SetTaskSwitched(vcpu, arguments.A1 != 0);
        return 0;
    }
}
