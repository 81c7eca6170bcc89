using Dbt.Xen.Events;

namespace Dbt.Xen.Hypercalls;

public static partial class HypercallTable
{
    private static partial IEnumerable<HypercallRow> EventRows() =>
    [
        new(6, "sched_op_compat", 2, SchedOp.CallCompat),
        new(15, "set_timer_op", 2, SetTimerOp.Call, Translated: true),
        new(16, "event_channel_op_compat", 1, EventChannelOp.CallCompat),
        new(24, "vcpu_op", 3, VcpuOp.Call, Translated: true),
        new(29, "sched_op", 2, SchedOp.Call, Translated: true),
        new(32, "event_channel_op", 2, EventChannelOp.Call, Translated: true),
    ];
}
