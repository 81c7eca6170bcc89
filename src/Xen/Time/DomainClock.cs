using Dbt.Runtime.HostTime;

namespace Dbt.Xen.Time;

/// <summary>
/// A domain's system time: nanoseconds since it was made, standing still while it is paused. The guest's time-stamp counter counts
/// the same nanoseconds (a 1-GHz counter that is emulated, so the two never drift apart).
/// </summary>
public sealed class DomainClock
{
    private long _offset = -HostClock.Now;
    private long _pausedAt = -1;

    /// <summary>System time now, in nanoseconds.</summary>
    public long Now
    {
        get
        {
            long paused = Volatile.Read(ref _pausedAt);
            return paused >= 0 ? paused : HostClock.Now + Volatile.Read(ref _offset);
        }
    }

    /// <summary>Stops the clock.</summary>
    public void Pause() => Volatile.Write(ref _pausedAt, Now);

    /// <summary>Lets the clock go on where it was stopped.</summary>
    public void Resume() => ResumeAt(Volatile.Read(ref _pausedAt));

    /// <summary>Sets a clock that stands still.</summary>
    public void SetPaused(long systemTime) => Volatile.Write(ref _pausedAt, systemTime);

    /// <summary>Lets the clock go on from a given system time, as a restored domain does.</summary>
    public void ResumeAt(long systemTime)
    {
        if (systemTime >= 0)
        {
            Volatile.Write(ref _offset, systemTime - HostClock.Now);
            Volatile.Write(ref _pausedAt, -1);
        }
    }
}
