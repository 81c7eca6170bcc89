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

    private const int MemoryOp = 12;
    private const uint CommandMask = 63;

    // Those that guests try and do without.
    private static readonly Dictionary<(int Number, uint Command), string> s_commands = new()
    {
        [(MemoryOp, 16)] = "XENMEM_set_pod_target",
        [(MemoryOp, 17)] = "XENMEM_get_pod_target",
        [(MemoryOp, 26)] = "XENMEM_get_vnumainfo",
        [(20, 4)] = "GNTTABOP_transfer",
        [(20, 8)] = "GNTTABOP_set_version",
        [(20, 9)] = "GNTTABOP_get_status_frames",
        [(20, 12)] = "GNTTABOP_cache_flush",
        [(24, 14)] = "VCPUOP_register_runstate_phys_area",
        [(24, 15)] = "VCPUOP_register_vcpu_time_phys_area",
        [(32, 10)] = "EVTCHNOP_reset",
        [(32, 11)] = "EVTCHNOP_init_control",
        [(32, 12)] = "EVTCHNOP_expand_array",
        [(32, 13)] = "EVTCHNOP_set_priority",
        [(32, 14)] = "EVTCHNOP_reset_cont",
    };

    /// <summary>A command of a hypercall for the log: few different texts, whatever a guest passes.</summary>
    public static string OfCommand(int number, uint command)
    {
        command = number == MemoryOp ? command & CommandMask : command;
        return s_commands.TryGetValue((number, command), out string? name) ? name
            : command <= CommandMask ? $"command {command}"
            : "a command above 63";
    }

    /// <summary>The name of a number.</summary>
    public static string Of(int number) => ((uint)number < s_names.Length ? s_names[number] : null) ?? $"hypercall_{number}";
}
