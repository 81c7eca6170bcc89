using Dbt.Runtime.HostTime;
using Dbt.Xen.Snapshot;

namespace Dbt.Xen.Events;

/// <content>Going on elsewhere: what is left of each watchdog's time goes along.</content>
internal sealed partial class Watchdogs
{
    private const long Off = -1, MostLeft = uint.MaxValue * 1_000_000_000L;

    /// <summary>Writes them.</summary>
    public void Capture(SectionWriter writer)
    {
        lock (_lock)
        {
            for (int i = 0; i < Count; i++)
            {
                writer.Int64(_inUse[i] ? Math.Clamp(_timers[i].Deadline - HostClock.Now, 0, MostLeft) : Off);
            }
        }
    }

    /// <summary>Sets them; their time goes on at once.</summary>
    public void Restore(SectionReader reader, bool fresh)
    {
        lock (_lock)
        {
            for (int i = 0; i < Count; i++)
            {
                long left = reader.Int64(Off, MostLeft, "a watchdog's time");
                if (left != Off && !fresh)
                {
                    _inUse[i] = true;
                    _timers[i].Set(HostClock.Now + left);
                }
            }
        }
    }
}
