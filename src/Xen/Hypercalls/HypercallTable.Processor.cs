using Dbt.Xen.Processor;

namespace Dbt.Xen.Hypercalls;

public static partial class HypercallTable
{
    private static partial IEnumerable<HypercallRow> ProcessorRows() =>
    [
        new(0, "set_trap_table", 1, SetTrapTable.Call),
        new(2, "set_gdt", 2, SetGdt.Call),
        new(3, "stack_switch", 2, StackSwitch.Call),
        new(4, "set_callbacks", 4, CallbackOp.SetCallbacks),
        new(5, "fpu_taskswitch", 1, FpuTaskSwitch.Call),
        new(7, "platform_op", 1, Refused.NotPermitted, Translated: true),
        new(8, "set_debugreg", 2, DebugRegisterCalls.Set),
        new(9, "get_debugreg", 1, DebugRegisterCalls.Get),
        new(10, "update_descriptor", 4, UpdateDescriptor.Call),
        new(13, "multicall", 2, Multicall.Call, Translated: true),
        new(17, "xen_version", 2, XenVersion.Call, Translated: true),
        new(18, "console_io", 3, ConsoleIo.Call, Translated: true),
        new(19, "physdev_op_compat", 1, PhysdevOp.CallCompat),
        new(21, "vm_assist", 2, VmAssist.Call, Translated: true),
        new(23, "iret", 0, Iret.Call),
        new(25, "set_segment_base", 2, Refused.NotImplemented),
        new(27, "xsm_op", 1, Refused.NotImplemented),
        new(28, "nmi_op", 2, NmiOp.Call),
        new(30, "callback_op", 2, CallbackOp.Call),
        new(31, "xenoprof_op", 2, Refused.NotImplemented),
        new(33, "physdev_op", 2, PhysdevOp.Call),
        new(34, "hvm_op", 2, Hvm.HvmOp.Call, Translated: true),
        new(35, "sysctl", 1, Refused.NotPermitted, Translated: true),
        new(36, "domctl", 1, Refused.NotPermitted, Translated: true),
        new(37, "kexec_op", 2, Refused.NotPermitted),
        new(38, "tmem_op", 1, Refused.NotImplemented, Translated: true),
        new(39, "argo_op", 5, Refused.NotImplemented),
        new(40, "xenpmu_op", 2, Refused.NotSupported, Translated: true),
        new(41, "dm_op", 3, Refused.NotPermitted),
        new(42, "hypfs_op", 5, Refused.NotPermitted),
        new(48, "arch_0", 1, Refused.NotImplemented),
        new(49, "arch_1", 1, Refused.NotImplemented),
    ];
}
