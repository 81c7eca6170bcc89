using System.Net.Sockets;
using System.Security.Cryptography;
using Dbt.Devices.Network.Host;
using Dbt.Devices.Network.Offload;
using Dbt.Runtime;

namespace Dbt.Devices.Network.Switch;

/// <summary>
/// A port of a switch that guests of several processes of one user share by its name. There is no process that owns it: each port is a
/// UNIX datagram socket in the switch's folder, learns for itself where addresses are, and sends to the other ports directly. Frames travel
/// with what is left undone in them, so that large TCP frames go from guest to guest whole.
/// </summary>
public sealed unsafe class SharedSwitchPort : INetworkBackend
{
    private const int MaxPeers = 256, ReceiveBuffer = 1 << 20;

    private readonly SwitchFolder _folder;
    private readonly ulong _self;
    private readonly Socket _socket;
    private readonly int _descriptor;
    private readonly WakeEvent _wake;
    private readonly Thread _thread;
    private readonly AddressTable<ulong> _addresses = new();
    private readonly FrameAdapter _adapter = new();
    private readonly Lock _lock = new();
    private readonly Dictionary<ulong, SwitchPeer> _peers = [];
    private INetworkEnd? _guest;
    private long _dropped;
    private volatile bool _anyWaiting;
    private volatile bool _room;
    private volatile bool _stopping;
    private readonly ThreadSettling _settling = new();

    private SharedSwitchPort(SwitchFolder folder, ulong self, Socket socket, WakeEvent wake)
    {
        _folder = folder;
        _self = self;
        _socket = socket;
        _descriptor = (int)socket.Handle;
        _wake = wake;
        _thread = new Thread(Run) { Name = "switch port", IsBackground = true };
    }

    /// <inheritdoc/>
    /// <remarks>A switch always takes a frame, so this is never raised.</remarks>
    public event Action? RoomAvailable
    {
        add { }
        remove { }
    }

    /// <inheritdoc/>
    /// <remarks>What the receiver doesn't take undone is done at its port.</remarks>
    public LinkFeatures Features => new(true, true, true);

    /// <summary>Frames that were dropped because their receiver was too slow for them.</summary>
    public long Dropped => Volatile.Read(ref _dropped);

    /// <summary>Opens a port of a switch, which is there as long as it has one.</summary>
    /// <param name="name">The switch's name: up to 32 letters, digits, '.', '_' and '-'.</param>
    /// <exception cref="HostException">The name can't be one, or the switch's folder can't be had.</exception>
    public static SharedSwitchPort Open(string name) => Open(name, null);

    /// <summary>For tests: in a folder of theirs.</summary>
    internal static SharedSwitchPort Open(string name, string? root)
    {
        SwitchFolder folder = SwitchFolder.Open(name, root);
        ulong self = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong)));
        var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { Blocking = false };
        try
        {
            socket.ReceiveBufferSize = ReceiveBuffer;
            Bind(socket, folder, self);
            return new SharedSwitchPort(folder, self, socket, new WakeEvent());
        }
        catch (SocketException error)
        {
            socket.Dispose();
            throw new HostException($"the switch {name} can't be joined: {error.Message} ({folder.SocketPath(self)})", error);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Connect(INetworkEnd guest)
    {
        _guest = guest;
        guest.RoomAvailable += GuestHasRoom;
        _thread.Start();
    }

    /// <inheritdoc/>
    public bool Send(ReadOnlySpan<byte> frame, FrameOffload offload)
    {
        if (frame.Length is < FrameHeaders.EthernetLength or > SwitchMessage.MaxFrame)
        {
            return true;
        }

        MacAddress destination = MacAddress.Read(frame);
        if (!destination.IsMulticast && _addresses.TryFind(destination, out ulong port) && Find(port) is { } known
            && Send(known, frame, offload))
        {
            return true;
        }

        foreach (ulong other in _folder.Ports())
        {
            if (Find(other) is { } peer)
            {
                Send(peer, frame, offload);
            }
        }

        return true;
    }

    /// <inheritdoc/>
    public void Settle() => _settling.Ask(_wake);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_stopping)
        {
            return;
        }

        _stopping = true;
        _wake.Set();
        if (_guest is not null)
        {
            _guest.RoomAvailable -= GuestHasRoom;
            _thread.Join();
        }

        _folder.Remove(_self);
        _socket.Dispose();
        lock (_lock)
        {
            foreach (SwitchPeer peer in _peers.Values)
            {
                peer.Dispose();
            }

            _peers.Clear();
        }

        _wake.Dispose();
        _settling.Dispose();
    }

    private static void Bind(Socket socket, SwitchFolder folder, ulong self)
    {
        string path = folder.SocketPath(self);
        try
        {
            socket.Bind(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException)
        {
            folder.Remake();
            socket.Bind(new UnixDomainSocketEndPoint(path));
        }

        folder.Restrict(self);
    }

    // The peer of a number; one that nobody listens for any more is removed with its socket's file.
    private SwitchPeer? Find(ulong port)
    {
        bool gone;
        if (port == _self)
        {
            return null;
        }

        lock (_lock)
        {
            if (_peers.TryGetValue(port, out SwitchPeer? peer) || _stopping || _peers.Count >= MaxPeers)
            {
                return peer;
            }

            peer = SwitchPeer.Connect(_folder, port, _self, out gone);
            if (peer is not null)
            {
                _peers.Add(port, peer);
                return peer;
            }
        }

        if (gone)
        {
            Forget(port);
        }

        return null;
    }

    private void Forget(ulong port)
    {
        _addresses.Forget(port);
        _folder.Remove(port);
        lock (_lock)
        {
            if (_peers.Remove(port, out SwitchPeer? peer))
            {
                peer.Dispose();
            }
        }
    }

    // False where the peer has gone.
    private bool Send(SwitchPeer peer, ReadOnlySpan<byte> frame, FrameOffload offload)
    {
        switch (peer.Send(frame, offload))
        {
            case PeerResult.Waiting:
                _anyWaiting = true;
                _wake.Set();
                break;
            case PeerResult.Dropped:
                Interlocked.Increment(ref _dropped);
                break;
            case PeerResult.Gone:
                Forget(peer.Port);
                return false;
            default:
                break;
        }

        return true;
    }

    private void GuestHasRoom()
    {
        _room = true;
        _wake.Set();
    }

    private void Run()
    {
        Serve();
        _settling.End();
    }

    private void Serve()
    {
        var reader = new FrameReader(_descriptor, SwitchMessage.HeaderLength + SwitchMessage.MaxFrame, _settling, TryTake);
        while (!_stopping)
        {
            SwitchPeer[] waiting = WaitingPeers();
            Wait(waiting, reading: !reader.IsHolding);
            foreach (SwitchPeer peer in waiting)
            {
                if (peer.Drain() == PeerResult.Gone)
                {
                    Forget(peer.Port);
                }
            }

            reader.Serve(_room);
        }
    }

    private SwitchPeer[] WaitingPeers()
    {
        if (!_anyWaiting)
        {
            return [];
        }

        // Before the look: what comes to wait during it sets this again.
        _anyWaiting = false;
        SwitchPeer[] waiting;
        lock (_lock)
        {
            waiting = [.. _peers.Values.Where(static peer => peer.IsWaiting)];
        }

        if (waiting.Length > 0)
        {
            _anyWaiting = true;
        }

        return waiting;
    }

    private void Wait(SwitchPeer[] waiting, bool reading)
    {
        HostCalls.PollEntry* entries = stackalloc HostCalls.PollEntry[2 + MaxPeers];
        entries[0] = new HostCalls.PollEntry { Descriptor = _wake.Descriptor, Wanted = HostCalls.PollIn };
        entries[1] = new HostCalls.PollEntry { Descriptor = reading ? _descriptor : -1, Wanted = HostCalls.PollIn };
        for (int i = 0; i < waiting.Length; i++)
        {
            entries[2 + i] = new HostCalls.PollEntry { Descriptor = waiting[i].Descriptor, Wanted = HostCalls.PollOut };
        }

        if (HostCalls.Poll(entries, (nuint)(2 + waiting.Length), -1) > 0 && entries[0].Ready != 0)
        {
            _wake.Reset();
        }
    }

    // Gives the guest a frame of another port's.
    private bool TryTake(ReadOnlySpan<byte> message, ref int sent)
    {
        _room = false;
        if (!SwitchMessage.TryRead(message, out ulong port, out FrameOffload offload) || port == _self)
        {
            return true;
        }

        ReadOnlySpan<byte> frame = message[SwitchMessage.HeaderLength..];
        _addresses.Learn(MacAddress.Read(frame[MacAddress.Length..]), port);
        return _adapter.Send(_guest!, frame, offload, ref sent);
    }
}
