using System.Globalization;
using System.Net;
using Dbt.Devices.Network.Announcement;
using Dbt.Devices.Store;

namespace Dbt.Devices.Network.Frontend;

/// <summary>
/// A virtual network card's back end: negotiates with the frontend through xenstore (states and nodes of public/io/netif.h) and moves frames
/// between the guest's rings and what the card is plugged into, to which it is the guest's end of the cable. The frontend may close and open
/// again; every connection reads its nodes anew. State changes are answered before the frontend's write to xenstore returns.
/// </summary>
internal sealed partial class VifBackend : INetworkEnd, IDetachable
{
    /// <summary>Queues that a guest may have.</summary>
    public const int MaxQueues = 4;

    private readonly XenStore _store;
    private readonly NetworkConfiguration _card;
    private readonly VifNodes _nodes;
    private readonly string _name;
    private readonly VifQueue[] _queues = new VifQueue[MaxQueues];
    private readonly IDisposable _stateWatch;
    private readonly IDisposable _multicastWatch;

    // Guards what follows: the queues' threads and the frontend's state changes take turns.
    private readonly Lock _gate = new();
    private VifConnection? _connection;
    private int _generation;
    private bool _detaching;
    private bool _stopping;
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Read by senders without a lock.
    private volatile Live _live = Live.Nobody;
    private volatile FlowSteering _steering = new();

    /// <summary>Publishes the card and starts to serve it. What it is plugged into is disposed with this.</summary>
    public VifBackend(XenStore store, IFrontend frontend, NetworkConfiguration card, INetworkBackend backend)
        : this(store, frontend, card, backend, saved: null)
    {
    }

    /// <summary>Publishes the card and starts to serve it or, with a saved state, finds its nodes there and is held until <see cref="Release"/>.</summary>
    public VifBackend(XenStore store, IFrontend frontend, NetworkConfiguration card, INetworkBackend backend, SavedVifState? saved)
    {
        _store = store;
        _card = card;
        Frontend = frontend;
        Backend = backend;
        _name = string.Create(CultureInfo.InvariantCulture, $"vif {card.Handle}");
        Addresses = new LearnedAddresses(card.Mac);
        Allowance = card.Rate is { } rate ? new TokenBucket(rate) : null;
        for (int i = 0; i < MaxQueues; i++)
        {
            _queues[i] = new VifQueue(this, string.Create(CultureInfo.InvariantCulture, $"{_name} {frontend.DomainId} q{i}"));
        }

        _nodes = new VifNodes(store, frontend.DomainId, card);
        if (saved is null)
        {
            _nodes.Publish(MaxQueues);
        }
        else
        {
            Restore(saved);
        }

        backend.RoomAvailable += WakeAll;
        backend.Connect(this);
        _stateWatch = store.Watch(_nodes.Front + "/state", _ => FrontendChanged());
        _multicastWatch = store.Watch(_nodes.Front + "/request-multicast-control", _ => ReadMulticastControl());
    }

    /// <inheritdoc/>
    public event Action? RoomAvailable;

    /// <inheritdoc/>
    /// <remarks>While no frontend is connected all is taken, to be dropped.</remarks>
    public LinkFeatures Features => _live.Features;

    /// <summary>The card as configured.</summary>
    public NetworkConfiguration Configuration => _card;

    /// <summary>Completes when the guest has let go of the card after <see cref="BeginDetach"/>.</summary>
    public Task Released => _released.Task;

    /// <summary>What there is to tell of the card now.</summary>
    public NetworkStatus Status
    {
        get
        {
            lock (_gate)
            {
                VifQueueNodes? queue = _connection?.Queues[0];
                return new NetworkStatus(
                    _card, (int)_nodes.State, queue?.TransmitPort, queue?.TransmitRing, queue?.ReceiveRing, _nodes.Back, Counters.Traffic);
            }
        }
    }

    /// <summary>The guest.</summary>
    internal IFrontend Frontend { get; }

    /// <summary>What the card is plugged into.</summary>
    internal INetworkBackend Backend { get; }

    /// <summary>What the guest listens to.</summary>
    internal MulticastFilter Multicast { get; } = new();

    /// <summary>The IP addresses that the guest is known to have.</summary>
    internal LearnedAddresses Addresses { get; }

    /// <summary>What the guest may send; null for no limit.</summary>
    internal TokenBucket? Allowance { get; }

    /// <summary>What went through.</summary>
    internal VifCounters Counters { get; } = new();

    /// <summary>Which queue a frame goes to.</summary>
    internal FlowSteering Steering
    {
        get => _steering;
        set => _steering = value;
    }

    /// <inheritdoc/>
    public bool Send(ReadOnlySpan<byte> frame, FrameOffload offload)
    {
        if (_isHeld || _waiting.Any)
        {
            lock (_waitingLock)
            {
                if (_isHeld)
                {
                    return _waiting.TryAdd(frame, offload);
                }

                if (!_waiting.TryDeliver(Deliver))
                {
                    return false;
                }
            }
        }

        return Deliver(frame, offload);
    }

    private bool Deliver(ReadOnlySpan<byte> frame, FrameOffload offload)
    {
        (int queues, LinkFeatures features) = _live;
        bool takes = (!offload.ChecksumBlank || features.ChecksumBlank)
            && (offload.Segmentation != SegmentationKind.TcpV4 || features.SegmentV4)
            && (offload.Segmentation != SegmentationKind.TcpV6 || features.SegmentV6);
        if (queues == 0 || frame.Length < Offload.FrameHeaders.EthernetLength || !takes)
        {
            // The last: the sender asked a frontend for its features that has gone since.
            Counters.CountReceiveDrop();
            return true;
        }

        if (!Multicast.Passes(MacAddress.Read(frame)))
        {
            return true;
        }

        int queue = _steering.Choose(frame, queues, out (HashType Type, uint Value)? hash);
        return _queues[queue].TrySend(frame, offload, hash);
    }

    /// <summary>
    /// Tells the network where the guest is now, as after a move to another host: a reverse ARP request, which switches learn from and nobody
    /// answers, and an announcement of each IP address that the guest is known to have. Nothing while it is held: it may go on elsewhere.
    /// </summary>
    public void Announce()
    {
        if (_isHeld)
        {
            return;
        }

        Backend.Send(AnnouncementFrames.ReverseArp(_card.Mac), default);
        foreach (IPAddress address in Addresses.All)
        {
            Backend.Send(AnnouncementFrames.For(_card.Mac, address), default);
        }
    }

    /// <summary>
    /// Asks the guest to let go of the card, as <c>xl network-detach</c> does; it is served until the guest has closed it. Nothing new where
    /// that was asked before.
    /// </summary>
    public void BeginDetach()
    {
        _nodes.SetOffline();
        lock (_gate)
        {
            _detaching = true;
            _nodes.SetState(_nodes.State == XenbusState.Closed ? XenbusState.Closed : XenbusState.Closing);
        }

        FrontendChanged();
    }

    /// <summary>Disconnects, removes the card's nodes, and unplugs it.</summary>
    public void Dispose()
    {
        _stateWatch.Dispose();
        _multicastWatch.Dispose();
        lock (_gate)
        {
            _stopping = true;
            Disconnect();
        }

        Backend.RoomAvailable -= WakeAll;
        Backend.Dispose();
        lock (_waitingLock)
        {
            _waiting.Clear();
        }

        foreach (VifQueue queue in _queues)
        {
            queue.Dispose();
        }

        _nodes.Remove();
    }

    /// <summary>Whether it is held (<see cref="Hold"/>).</summary>
    internal bool IsHeld => _isHeld;

    /// <summary>Tells senders that were refused; what waited while the guest was held comes before.</summary>
    internal void RaiseRoomAvailable()
    {
        if (_waiting.Any)
        {
            lock (_waitingLock)
            {
                if (!_isHeld && !_waiting.TryDeliver(Deliver))
                {
                    return;
                }
            }
        }

        RoomAvailable?.Invoke();
    }

    /// <summary>Closes the device with a reason, unless the connection that failed has gone already.</summary>
    internal void Fail(int generation, string why)
    {
        lock (_gate)
        {
            if (generation == _generation && _connection is not null)
            {
                Fail(why);
            }
        }

        RaiseRoomAvailable();
    }

    private void WakeAll()
    {
        for (int i = 0; i < _live.Queues; i++)
        {
            _queues[i].Wake();
        }
    }

    // On the thread of whoever wrote the frontend's state.
    private void FrontendChanged()
    {
        lock (_gate)
        {
            if (_stopping || _isHeld)
            {
                return;
            }

            switch (VifConnection.ReadState(_store, _nodes.Front))
            {
                case XenbusState.Initialising when _detaching:
                case XenbusState.Initialised or XenbusState.Connected when _detaching && _connection is null:
                    // It wasn't in use, or the guest starts over with it: not any more.
                    Disconnect();
                    _nodes.SetState(XenbusState.Closed);
                    _released.TrySetResult();
                    break;
                case XenbusState.Initialised or XenbusState.Connected when _detaching:
                    break;
                case XenbusState.Initialising:
                    Disconnect();
                    _nodes.SetState(XenbusState.InitWait);
                    break;
                case XenbusState.Initialised or XenbusState.Connected:
                    Connect();
                    break;
                case XenbusState.Closing:
                    Disconnect();
                    _nodes.SetState(XenbusState.Closing);
                    break;
                case XenbusState.Closed or XenbusState.Unknown:
                    Disconnect();
                    _nodes.SetState(XenbusState.Closed);
                    if (_detaching)
                    {
                        _released.TrySetResult();
                    }

                    break;
                default:
                    break;
            }
        }

        // Requests that were on the rings before they were connected came with no event; frames that waited for room are dropped now.
        WakeAll();
        RaiseRoomAvailable();
    }

    private void ReadMulticastControl() => Multicast.Enabled = VifConnection.ReadFlag(_store, _nodes.Front + "/request-multicast-control");

    private void Connect()
    {
        if (!VifConnection.TryRead(_store, _nodes.Front, MaxQueues, out VifConnection? wanted, out string? why))
        {
            Fail(why);
            return;
        }

        if (!wanted.Equals(_connection))
        {
            Connect(wanted, new FlowSteering());
        }
    }

    private void Connect(VifConnection wanted, FlowSteering steering)
    {
        Disconnect();
        _generation++;
        for (int i = 0; i < wanted.Queues.Count; i++)
        {
            if (!_queues[i].TryAttach(wanted.Queues[i], wanted.Features, _generation, out string? why))
            {
                Fail(why);
                return;
            }
        }

        _steering = steering;
        if (wanted.Control is { } control && !_queues[0].TryAttachControl(control.Ring, control.Port, wanted.Queues.Count, _steering))
        {
            Fail("the control ring's page or event channel can't be had");
            return;
        }

        _connection = wanted;
        ReadMulticastControl();
        _live = new Live(wanted.Queues.Count, wanted.Features.Link);
        // One that came from elsewhere while the guest was asked to let go of it stays so.
        if (!_detaching)
        {
            _nodes.SetState(XenbusState.Connected);
        }
    }

    private void Disconnect()
    {
        _live = Live.Nobody;
        foreach (VifQueue queue in _queues)
        {
            queue.Detach();
        }

        _connection = null;
        _steering = new FlowSteering();
        Multicast.Clear();
    }

    private void Fail(string why)
    {
        Disconnect();
        Frontend.Log.AddOnce($"{_name}: {why}");
        _nodes.WriteError(why);
        _nodes.SetState(XenbusState.Closing);
    }

    /// <summary>What senders have to know of a connection: one or the other, never a mixture.</summary>
    private sealed record Live(int Queues, LinkFeatures Features)
    {
        /// <summary>While no frontend is connected: all is taken, to be dropped.</summary>
        public static readonly Live Nobody = new(0, new LinkFeatures(true, true, true));
    }
}
