using Dbt.Xen.Hypercalls;

namespace Dbt.Xen.Events;

/// <summary>HYPERVISOR_set_timer_op: the single-shot timer, by absolute system time in nanoseconds.</summary>
internal static class SetTimerOp
{
    private const long FarAway = 1L << 50, HugeTimeout = 100_000_000;

    /// <summary>EBX and ECX: the time's low and high half; 0 stops the timer.</summary>
    public static int Call(Vcpu vcpu, in HypercallArguments arguments)
    {
        long deadline = arguments.A1 | ((long)(int)arguments.A2 << 32);
        long now = vcpu.Domain.Clock.Now;

        // Times that wrapped negative or lie weeks away come from guests whose arithmetic overflowed, or that mean "none". As in Xen they
        // get a tick soon, but not at once (XSA-20: nothing may overflow here).
        if (deadline < 0 || deadline - now > FarAway)
        {
            deadline = now + HugeTimeout;
        }

        vcpu.Timers.SetSingleshot(deadline);
        return 0;
    }
}
