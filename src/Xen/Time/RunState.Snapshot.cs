using Dbt.Xen.Snapshot;

namespace Dbt.Xen.Time;

/// <content>Going on elsewhere.</content>
internal sealed partial class RunState
{
    /// <summary>Writes the times and where the guest's copy is. The domain's clock stands still.</summary>
    public void Capture(SectionWriter writer)
    {
        lock (_lock)
        {
            long now = vcpu.Domain.Clock.Now;
            for (int i = 0; i < _times.Length; i++)
            {
                writer.Int64(_times[i] + (i == (int)_state ? now - _since : 0));
            }

            writer.UInt32(GuestArea);
        }
    }

    /// <summary>Takes them up; the processor is offline until it goes on.</summary>
    public void Restore(SectionReader reader, long now, bool fresh)
    {
        lock (_lock)
        {
            for (int i = 0; i < _times.Length; i++)
            {
                long time = reader.Int64(0, now, "a time");
                _times[i] = fresh ? 0 : time;
            }

            _state = RunStateKind.Offline;
            _since = now;
        }

        uint area = reader.UInt32();
        GuestArea = fresh ? 0 : area;
    }
}
