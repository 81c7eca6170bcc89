using System.Diagnostics;

namespace Dbt.Runtime.HostTime;

/// <summary>The host's monotonic clock in nanoseconds, the base of every guest's time.</summary>
public static class HostClock
{
    private static readonly double s_scale = 1e9 / Stopwatch.Frequency;

    /// <summary>Nanoseconds since some fixed moment of the host.</summary>
    public static long Now
    {
        get
        {
            long ticks = Stopwatch.GetTimestamp();
            return Stopwatch.Frequency == 1_000_000_000 ? ticks : (long)(ticks * s_scale);
        }
    }
}
