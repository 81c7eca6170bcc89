using Dbt.Xen.Snapshot;

namespace Dbt.Xen.Hvm;

/// <content>Going on elsewhere.</content>
internal sealed partial class ApicTimer
{
    /// <summary>Writes its registers. The domain's clock stands still.</summary>
    public void Capture(SectionWriter writer)
    {
        lock (_lock)
        {
            writer.UInt32(_initial);
            writer.UInt32(_divide);
            writer.Flag(_periodic);
            writer.Flag(_running);
            writer.Int64(_started);
        }
    }

    /// <summary>Takes them up.</summary>
    public void Restore(SectionReader reader, long now)
    {
        lock (_lock)
        {
            _initial = reader.UInt32();
            _divide = reader.UInt32() & 0xB;
            _periodic = reader.Flag();
            _running = reader.Flag() && _initial != 0;
            _started = reader.Int64(0, now, "the start of the APIC's timer");
            bus.SetTimer(_running ? _started + Period : null);
        }
    }
}
