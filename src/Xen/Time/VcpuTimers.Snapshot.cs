using Dbt.Xen.Snapshot;

namespace Dbt.Xen.Time;

/// <content>Going on elsewhere.</content>
internal sealed partial class VcpuTimers
{
    // As VCPUOP_set_periodic_timer and the single-shot calls have it.
    private const long ShortestPeriod = 1_000_000, LongestPeriod = long.MaxValue >> 2, LastDeadline = long.MaxValue >> 1;

    /// <summary>Writes them. The domain's clock stands still.</summary>
    public void Capture(SectionWriter writer)
    {
        lock (_lock)
        {
            writer.Int64(_singleshot);
            writer.Int64(_period);
            writer.Int64(_lastTick);
        }
    }

    /// <summary>Sets them; the host's timers are armed when the domain's clock goes on.</summary>
    public void Restore(SectionReader reader, long now, bool fresh)
    {
        long singleshot = reader.Int64(0, LastDeadline, "a deadline");
        long period = reader.Int64(0, LongestPeriod, "a period");
        long last = reader.Int64(0, now, "the last tick");
        if (period is not 0 and < ShortestPeriod)
        {
            throw reader.Error("a period is too short");
        }

        lock (_lock)
        {
            (_singleshot, _period, _lastTick) = fresh ? (0, DefaultPeriod, now) : (singleshot, period, last);
        }
    }
}
