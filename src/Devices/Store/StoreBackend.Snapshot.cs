using Dbt.Xen.Snapshot;

namespace Dbt.Devices.Store;

/// <content>Going on elsewhere.</content>
internal sealed partial class StoreBackend
{
    /// <summary>Takes nothing from the ring and gives it nothing until <see cref="Release"/>; what comes for the guest waits. The guest is paused.</summary>
    public void Hold()
    {
        lock (_gate)
        {
            _held = true;
        }
    }

    /// <summary>Goes on where it was held.</summary>
    public void Release()
    {
        lock (_gate)
        {
            _held = false;
        }

        _wake.Set();
    }

    /// <summary>Writes what the ring's page does not hold. While it is held.</summary>
    public void Capture(SectionWriter writer)
    {
        _ring.Capture(writer);
        _session.Capture(writer);
    }
}
