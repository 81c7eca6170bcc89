using Dbt.Runtime;

namespace Dbt.Devices.Network.Host;

/// <summary>Ends a poll(2): an eventfd that stands in the list with the others.</summary>
internal sealed unsafe class WakeEvent : IDisposable
{
    // Disposing while another thread sets it must not write to a descriptor that has become another's.
    private readonly Lock _lock = new();
    private int _descriptor;

    /// <exception cref="HostException">The host is out of file descriptors.</exception>
    public WakeEvent()
    {
        _descriptor = HostCalls.CreateEvent(0, HostCalls.NonBlocking | HostCalls.CloseOnExec);
        if (_descriptor < 0)
        {
            throw new HostException("the host gives no more file descriptors; raise its limit (ulimit -n)");
        }
    }

    /// <summary>To be polled for <see cref="HostCalls.PollIn"/>.</summary>
    public int Descriptor => _descriptor;

    /// <summary>Wakes who polls. Any thread.</summary>
    public void Set()
    {
        lock (_lock)
        {
            ulong one = 1;
            if (_descriptor >= 0)
            {
                _ = HostCalls.Write(_descriptor, &one, sizeof(ulong));
            }
        }
    }

    /// <summary>Resets it.</summary>
    public void Reset()
    {
        ulong count;
        _ = HostCalls.Read(_descriptor, &count, sizeof(ulong));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_descriptor >= 0)
            {
                _ = HostCalls.Close(_descriptor);
                _descriptor = -1;
            }
        }
    }
}
