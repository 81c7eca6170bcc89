namespace Dbt.Xen.Events;

/// <summary>A domain's event channels, 2-level ABI: 1024 ports, port 0 unused.</summary>
public sealed class EventChannels
{
    internal EventChannels(Domain domain) => Domain = domain;

    /// <summary>The owner.</summary>
    public Domain Domain { get; }

    /// <summary>Allocates a port that the backend side (domain 0, this process) may bind to.</summary>
    /// <returns>False where the ports have run out.</returns>
    public bool TryAllocateForBackend(out uint port) => throw new NotImplementedException();

    /// <summary>
    /// Connects a backend in this process to a guest's unbound port. <paramref name="onSignal"/> runs on the guest's processor thread
    /// when the guest sends: it must only wake the backend's own thread.
    /// </summary>
    /// <returns>False where the port isn't unbound for domain 0.</returns>
    public bool TryConnectBackend(uint port, Action onSignal, out BackendChannel channel) => throw new NotImplementedException();
}

/// <summary>A backend's end of an event channel.</summary>
public sealed class BackendChannel : IDisposable
{
    /// <summary>The guest's port.</summary>
    public uint Port { get; internal init; }

    /// <summary>Sends an event to the guest. Any thread.</summary>
    public void Notify() => throw new NotImplementedException();

    /// <inheritdoc/>
    public void Dispose() => throw new NotImplementedException();
}
