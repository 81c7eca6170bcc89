using System.Net;
using Dbt.Devices.Network.Announcement;
using Dbt.Xen.Snapshot;

namespace Dbt.Devices.Network.Frontend;

/// <summary>What is saved of a card's back end beside its nodes.</summary>
/// <param name="State">What it has told of its state.</param>
/// <param name="IsConnected">Whether the frontend's rings are served.</param>
/// <param name="IsDetaching">Whether the guest was asked to let go of it.</param>
/// <param name="Steering">What the guest said through its control ring.</param>
/// <param name="Multicast">Which groups it listens to.</param>
/// <param name="Addresses">The IP addresses that the guest is known to have.</param>
internal sealed record SavedVifState(
    XenbusState State, bool IsConnected, bool IsDetaching, FlowSteering Steering, IReadOnlyList<MacAddress> Multicast, IReadOnlyList<IPAddress> Addresses)
{
    /// <summary>Frames that waited for it.</summary>
    public WaitingFrames Waiting { get; init; } = new();
}

/// <content>
/// Going on elsewhere. The state of a connection is in the frontend's nodes and in the rings; what the guest said of its queues and groups is here. A
/// frame that was taken and couldn't be sent on yet is still on the ring. Frames for the guest are kept here meanwhile, as far as there is room, and go with it; who sends keeps the rest.
/// </content>
internal sealed partial class VifBackend
{
    private const int MostAlgorithm = (int)HashAlgorithm.Toeplitz;

    // Guarded by the gate, but for senders, who look.
    private volatile bool _isHeld;
    private bool _comesBack;

    // What waits is added, and given to the guest, under this lock; the queues' locks are taken within it.
    private readonly Lock _waitingLock = new();
    private WaitingFrames _waiting = new();

    /// <summary>Takes no more frames from either side, and lets go of the guest's pages and ports until <see cref="Release"/>. The guest is paused.</summary>
    public void Hold()
    {
        lock (_gate)
        {
            if (_isHeld || _stopping)
            {
                return;
            }

            _isHeld = true;
            _comesBack = _connection is not null;
            foreach (VifQueue queue in _queues)
            {
                queue.Detach(comesBack: true);
            }

            _connection = null;
        }
    }

    /// <summary>Goes on where it was held.</summary>
    public void Release()
    {
        lock (_gate)
        {
            if (!_isHeld || _stopping)
            {
                return;
            }

            (FlowSteering steering, IReadOnlyList<MacAddress> groups) = (_steering, Multicast.Addresses);
            if (_comesBack)
            {
                _comesBack = false;
                Reconnect(steering, groups);
            }

            _isHeld = false;
        }

        FrontendChanged();
    }

    /// <summary>Writes the card as configured, and the back end's state. While it is held.</summary>
    public void Capture(SectionWriter writer)
    {
        lock (_gate)
        {
            writer.Text(_card.Specification);
            writer.Text(_card.Mac.ToString());
            writer.Byte((byte)_nodes.State);
            writer.Flag(_comesBack);
            writer.Flag(_detaching);
            writer.Byte((byte)_steering.Algorithm);
            writer.UInt32(_steering.Types);
            writer.Block(_steering.Key);
            writer.UInt32((uint)_steering.Mapping.Length);
            foreach (uint queue in _steering.Mapping)
            {
                writer.UInt32(queue);
            }

            writer.UInt32((uint)Multicast.Addresses.Count);
            foreach (MacAddress address in Multicast.Addresses)
            {
                writer.UInt64(address.Value);
            }

            IReadOnlyList<IPAddress> known = Addresses.All;
            writer.UInt32((uint)known.Count);
            foreach (IPAddress address in known)
            {
                writer.Block(address.GetAddressBytes());
            }
        }
    }

    /// <summary>
    /// Writes the frames that wait for the guest, those that senders still have included, as far as there is room. While it is held; what comes later is lost, unless
    /// it goes on here.
    /// </summary>
    /// <param name="writer">Writes a section.</param>
    public void CaptureWaiting(StateWriter writer)
    {
        RaiseRoomAvailable();
        Backend.Settle();
        lock (_waitingLock)
        {
            if (_waiting.Any)
            {
                writer.Section(SectionType.NetworkFrames, _card.Handle, _waiting.Capture);
            }
        }
    }

    /// <summary>Reads what <see cref="Capture"/> wrote.</summary>
    public static (string Specification, MacAddress Mac, SavedVifState State) Read(SectionReader reader)
    {
        const int mostSpecification = 4096, mostMac = 17;
        const uint allTypes = 15;
        string specification = reader.Text(mostSpecification);
        if (!MacAddress.TryParse(reader.Text(mostMac), out MacAddress mac))
        {
            throw reader.Error("its address is none");
        }

        var state = (XenbusState)reader.Byte();
        bool connected = reader.Flag(), detaching = reader.Flag();
        byte algorithm = reader.Byte();
        uint types = reader.UInt32(0, allTypes, "kinds of flows");
        byte[] key = reader.Block(FlowSteering.MaxKey).ToArray();
        uint[] mapping = new uint[reader.Count(FlowSteering.MaxMapping, sizeof(uint), "queues of flows")];
        foreach (ref uint queue in mapping.AsSpan())
        {
            queue = reader.UInt32(0, MaxQueues - 1, "a queue");
        }

        var groups = new MacAddress[reader.Count(MulticastFilter.Capacity, sizeof(ulong), "groups")];
        foreach (ref MacAddress group in groups.AsSpan())
        {
            group = new MacAddress(reader.UInt64() & MacAddress.Broadcast.Value);
        }

        const int v4Bytes = 4, v6Bytes = 16;
        var known = new IPAddress[reader.Count(2 * LearnedAddresses.Capacity, sizeof(uint), "addresses")];
        foreach (ref IPAddress address in known.AsSpan())
        {
            ReadOnlySpan<byte> bytes = reader.Block(v6Bytes);
            address = bytes.Length is v4Bytes or v6Bytes ? new IPAddress(bytes) : throw reader.Error("an address is none");
        }

        reader.End();
        if (algorithm > MostAlgorithm || state > XenbusState.Closed)
        {
            throw reader.Error("its state is none");
        }

        var steering = new FlowSteering { Algorithm = (HashAlgorithm)algorithm, Types = types, Key = key, Mapping = mapping };
        return (specification, mac, new SavedVifState(state, connected, detaching, steering, groups, known));
    }

    private void Restore(SavedVifState saved)
    {
        _isHeld = true;
        _comesBack = saved.IsConnected;
        _detaching = saved.IsDetaching;
        _nodes.Adopt(saved.State);
        _steering = saved.Steering;
        _waiting = saved.Waiting;
        foreach (MacAddress group in saved.Multicast)
        {
            _ = Multicast.TryAdd(group);
        }

        foreach (IPAddress address in saved.Addresses)
        {
            Addresses.Add(address);
        }
    }

    private void Reconnect(FlowSteering steering, IReadOnlyList<MacAddress> groups)
    {
        if (!VifConnection.TryRead(_store, _nodes.Front, MaxQueues, out VifConnection? wanted, out string? why))
        {
            Fail(why);
            return;
        }

        // Connecting forgets what another connection was told.
        Connect(wanted, steering);
        foreach (MacAddress group in groups)
        {
            _ = Multicast.TryAdd(group);
        }
    }
}
