namespace Dbt.Xen.Hypercalls;

/// <summary>The header's names of all hypercall numbers (public/xen.h, __HYPERVISOR_*), those without a row included.</summary>
internal static class HypercallNames
{
    private static readonly string?[] s_names =
    [
        "set_trap_table", "mmu_update", "set_gdt", "stack_switch", "set_callbacks", "fpu_taskswitch", "sched_op_compat", "platform_op",
        "set_debugreg", "get_debugreg", "update_descriptor", null, "memory_op", "multicall", "update_va_mapping", "set_timer_op",
        "event_channel_op_compat", "xen_version", "console_io", "physdev_op_compat", "grant_table_op", "vm_assist",
        "update_va_mapping_otherdomain", "iret", "vcpu_op", "set_segment_base", "mmuext_op", "xsm_op", "nmi_op", "sched_op",
        "callback_op", "xenoprof_op", "event_channel_op", "physdev_op", "hvm_op", "sysctl", "domctl", "kexec_op", "tmem_op", "argo_op",
        "xenpmu_op", "dm_op", "hypfs_op", null, null, null, null, null,
        "arch_0", "arch_1", "arch_2", "arch_3", "arch_4", "arch_5", "arch_6", "arch_7",
    ];

    /// <summary>The name of a number.</summary>
    public static string Of(int number) => ((uint)number < s_names.Length ? s_names[number] : null) ?? $"hypercall_{number}";
}
