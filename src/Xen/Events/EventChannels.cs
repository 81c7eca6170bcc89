using Dbt.Xen.Abi;
using Dbt.Xen.Diagnostics;

namespace Dbt.Xen.Events;

/// <summary>
/// A domain's event channels: ports, of which 0 is unused, and the ABI by which the domain is told of events. Domain 0, the other end of a backend's channel,
/// is this process. Two domains' locks are always taken in the order of their ids.
/// </summary>
public sealed partial class EventChannels
{
    private const ushort BackendDomain = 0;

    private readonly Lock _lock = new();
    private EventChannel?[] _ports = new EventChannel?[TwoLevelEvents.Limit];
    private EventAbi _abi;
    private uint _lowestFree = 1;
    private readonly Dictionary<(int Vcpu, int Virq), uint> _virqs = [];
    private readonly EventLog _recent = new();
    private uint _backendPorts;
    private bool _closed;

    internal EventChannels(Domain domain)
    {
        Domain = domain;
        _abi = new TwoLevelEvents(domain);
    }

    /// <summary>Highest port that the domain can have (max_event_channels); the 2-level ABI has none above 1023.</summary>
    public int HighestPort { get; set; } = DefaultHighestPort;

    /// <summary>What <see cref="HighestPort"/> is where nobody says otherwise, as with xl.</summary>
    public const int DefaultHighestPort = TwoLevelEvents.Limit - 1;

    /// <summary>Most that <see cref="HighestPort"/> can be (EVTCHN_FIFO_NR_CHANNELS - 1).</summary>
    public const int MostHighestPort = FifoEvents.Limit - 1;

    /// <summary>The owner.</summary>
    public Domain Domain { get; }

    /// <summary>Events that were sent to this domain so far.</summary>
    public long Sent => Interlocked.Read(ref _sent);

    private long _sent;

    /// <summary>Allocates a port that the backend side (domain 0, this process) may bind to.</summary>
    /// <returns>False where the ports have run out.</returns>
    public bool TryAllocateForBackend(out uint port)
    {
        lock (_lock)
        {
            if (!TryTakePort(out port, out EventChannel? channel))
            {
                return false;
            }

            channel.State = ChannelState.Unbound;
            channel.RemoteDomain = BackendDomain;
            return true;
        }
    }

    /// <summary>
    /// Connects a backend in this process to a guest's unbound port. <paramref name="onSignal"/> runs on the guest's processor thread
    /// when the guest sends: it must only wake the backend's own thread. It is called once here, for a signal that was sent
    /// before anybody was connected.
    /// </summary>
    /// <returns>False where the port isn't unbound for domain 0.</returns>
    public bool TryConnectBackend(uint port, Action onSignal, out BackendChannel channel)
    {
        channel = new BackendChannel(this, port, onSignal);
        lock (_lock)
        {
            if (Find(port) is not { State: ChannelState.Unbound, RemoteDomain: BackendDomain } found)
            {
                return false;
            }

            found.State = ChannelState.Interdomain;
            found.Backend = channel;
            found.RemotePort = ++_backendPorts;
        }

        onSignal();
        return true;
    }

    /// <summary>Ends all channels of a domain that goes away; later signals go nowhere.</summary>
    internal void Shut()
    {
        for (uint port = 1; port < Volatile.Read(ref _ports).Length; port++)
        {
            Close(port);
        }

        lock (_lock)
        {
            _closed = true;
        }

        LeaveFifo();
    }

    internal void NotifyFromBackend(BackendChannel backend)
    {
        lock (_lock)
        {
            if (Find(backend.Port) is { State: ChannelState.Interdomain } channel && channel.Backend == backend)
            {
                Interlocked.Increment(ref _fromBackends);
                Deliver(backend.Port, channel);
            }
        }
    }

    internal void DisconnectBackend(BackendChannel backend)
    {
        lock (_lock)
        {
            if (Find(backend.Port) is { State: ChannelState.Interdomain } channel && channel.Backend == backend)
            {
                channel.State = ChannelState.Unbound;
                channel.Backend = null;
                channel.RemoteDomain = BackendDomain;
            }
        }
    }

    /// <summary>Whether a virtual IRQ has a port.</summary>
    internal bool IsVirqBound(int vcpu, int virq)
    {
        lock (_lock)
        {
            return _virqs.ContainsKey((Virq.IsGlobal(virq) ? 0 : vcpu, virq));
        }
    }

    /// <summary>Raises a virtual IRQ where it is bound. Any thread.</summary>
    internal void RaiseVirq(int vcpu, int virq)
    {
        lock (_lock)
        {
            if (_virqs.TryGetValue((Virq.IsGlobal(virq) ? 0 : vcpu, virq), out uint port) && Find(port) is { } channel)
            {
                Deliver(port, channel);
            }
        }
    }

    /// <summary>Whether a port has an event waiting, for SCHEDOP_poll.</summary>
    /// <returns>1 or 0, or a negative error for a port that isn't in use.</returns>
    internal int Poll(uint port)
    {
        lock (_lock)
        {
            return Find(port) is null ? -Errno.EINVAL : _abi.IsPending(port) ? 1 : 0;
        }
    }

    /// <summary>Sets a port pending; the lock is held.</summary>
    private void Deliver(uint port, EventChannel channel)
    {
        if (_closed)
        {
            return;
        }

        Interlocked.Increment(ref _sent);
        _recent.Add(port, Domain.Clock.Now);
        _abi.SetPending(port, channel);
        foreach (Vcpu vcpu in Domain.Vcpus)
        {
            vcpu.WakeFromPoll();
        }
    }

    private EventChannel? Find(uint port) =>
        port < _ports.Length && _ports[port] is { State: not ChannelState.Free } channel ? channel : null;

    // The lowest port that is free. One that the guest still has on a FIFO queue stays out of use until it has taken it off.
    private bool TryTakePort(out uint port, out EventChannel channel)
    {
        bool passedBusy = false;
        uint end = (uint)Math.Min(HighestPort + 1, _abi.Ports);
        for (port = _lowestFree; port < end; port++)
        {
            if (port == _ports.Length)
            {
                Array.Resize(ref _ports, Math.Min(_ports.Length * 2, FifoEvents.Limit));
            }

            channel = _ports[port] ??= new EventChannel();
            if (channel.State != ChannelState.Free)
            {
                _lowestFree = passedBusy ? _lowestFree : port + 1;
            }
            else if (_abi.IsBusy(port))
            {
                passedBusy = true;
            }
            else
            {
                return !_closed;
            }
        }

        port = 0;
        channel = null!;
        return false;
    }
}
