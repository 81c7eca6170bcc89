namespace Dbt.Xen.Events;

/// <summary>A backend's end of an event channel. When the guest closes its port, notifications go nowhere.</summary>
public sealed class BackendChannel : IDisposable
{
    private readonly EventChannels _events;

    internal BackendChannel(EventChannels events, uint port, Action onSignal)
    {
        _events = events;
        Port = port;
        OnSignal = onSignal;
    }

    /// <summary>The guest's port.</summary>
    public uint Port { get; }

    internal Action OnSignal { get; }

    /// <summary>Sends an event to the guest. Any thread.</summary>
    public void Notify() => _events.NotifyFromBackend(this);

    /// <summary>Disconnects: the guest's port waits for a backend again, as when the domain of a backend closes its port.</summary>
    public void Dispose() => _events.DisconnectBackend(this);
}
