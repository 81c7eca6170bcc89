using Dbt.Xen.Hypercalls;

namespace Dbt.Xen.Processor;

/// <summary>HYPERVISOR_stack_switch (public/arch-x86/xen.h): the stack for entries from ring 3.</summary>
internal static class StackSwitch
{
    /// <summary>EBX stack selector, ECX stack pointer.</summary>
    public static int Call(Vcpu vcpu, in HypercallArguments arguments)
    {
        vcpu.KernelSs = Selectors.ForGuest(arguments.A1 & 0xFFFF);
        vcpu.KernelSp = arguments.A2;
        return 0;
    }
}
