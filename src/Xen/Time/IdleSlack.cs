using Dbt.Runtime.HostTime;

namespace Dbt.Xen.Time;

/// <summary>
/// How late an idle guest's periodic tick may be. A kernel that ticks though it has nothing to do (Linux with HZ_PERIODIC) costs the host a
/// wake-up and a run of cold code each time; several ticks together cost hardly more than one, and such a kernel makes up for them by its
/// clock. Late is a tick only while nothing else happens: no event, no program run, all processors asleep; and at most by an eighth of the
/// time for which that has been so. So a guest program that sleeps for a moment wakes in time, and one that sleeps long wakes at most
/// <see cref="Longest"/> late. Whatever else wakes the guest brings its ticks with it.
/// Late ticks of all domains of a machine are served at common moments of the host's clock, so that the host wakes once for many guests.
/// </summary>
internal sealed class IdleSlack(Domain domain)
{
    /// <summary>Default of <see cref="Longest"/>: 250 ms.</summary>
    public const long Default = 250_000_000;

    private const int ShareOfQuiet = 8;

    // Common moments are multiples of this, or of its half, its quarter and so on: those of a longer step are among those of a shorter one.
    private const long LongestStep = 1_000_000_000;

    // Saying that a guest is busy is worth the others' attention so often at most.
    private const long BusyStep = 500_000;

    // Until it first runs a program its kernel starts up, and what that waits for is not to take longer.
    private long _busyAt = long.MaxValue;

    /// <summary>Nanoseconds that a tick may be late at most; 0 has each in time.</summary>
    public long Longest { get; set; } = Default;

    /// <summary>Something happened in the guest besides its ticks. On the processor's thread.</summary>
    /// <param name="by">The processor.</param>
    /// <param name="userCode">Whether it ran a program, and not just took an event.</param>
    public void MarkBusy(Vcpu by, bool userCode)
    {
        long now = domain.Clock.Now, before = Volatile.Read(ref _busyAt);
        if (before == long.MaxValue ? !userCode : now - before < BusyStep)
        {
            return;
        }

        Interlocked.Exchange(ref _busyAt, now);
        foreach (Vcpu vcpu in domain.Vcpus)
        {
            if (vcpu != by)
            {
                vcpu.EndLateSleep();
            }
        }
    }

    /// <summary>How late the tick of a processor that waits may be.</summary>
    /// <returns>
    /// Nanoseconds: 0; some periods and a half, which puts a guest that doesn't catch up off its grid; or up to a common moment, once it is
    /// known to catch up.
    /// </returns>
    public long For(Vcpu waiting)
    {
        long period = waiting.Timers.Grid.Period, deadline = waiting.Timers.Singleshot;
        if (Longest == 0 || period == 0 || deadline == 0)
        {
            return 0;
        }

        foreach (Vcpu vcpu in domain.Vcpus)
        {
            if (vcpu != waiting && vcpu.RunState.State is RunStateKind.Running or RunStateKind.Runnable)
            {
                return 0;
            }
        }

        long most = Math.Min(Longest, (deadline - Volatile.Read(ref _busyAt)) / ShareOfQuiet);
        long periods = (most - (period / 2)) / period;
        return periods < 1 ? 0
            : waiting.Timers.Grid.Bears ? UntilCommonMoment(HostClock.Now + deadline - domain.Clock.Now, most)
            : (periods * period) + (period / 2);
    }

    /// <summary>From a deadline to the last common moment that is late by no more than allowed.</summary>
    /// <param name="deadline">Host time.</param>
    /// <param name="most">Nanoseconds, from 1 on.</param>
    internal static long UntilCommonMoment(long deadline, long most)
    {
        long step = LongestStep;
        while (step > most)
        {
            step >>= 1;
        }

        long last = deadline + most;
        return last - (last % step) - deadline;
    }
}
