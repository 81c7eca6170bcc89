using System.Net;
using System.Net.Sockets;

namespace Dbt.Devices.Network.Nat;

/// <summary>
/// One UDP conversation. What the guest began has a socket of its own, connected, so that the host's errors come back to whom they concern;
/// what came in by a forward answers by the forward's socket.
/// </summary>
internal sealed class UdpFlow : PollSource
{
    /// <summary>Where data lies in the link's buffer, room for all headers before it.</summary>
    public const int DataOffset = GuestLink.PayloadOffset + 8;

    // RFC 4787, 4.3: two minutes at least; a question to a name server is answered or lost in seconds.
    private const int Lifetime = 120_000, DnsLifetime = 20_000, TurnDatagrams = 64;

    private readonly NatStack _stack;
    private readonly Socket _socket;
    private readonly IPEndPoint? _target;
    private readonly SocketAddress? _peer;
    private readonly NatTimer _idle;
    private readonly int _lifetime;

    /// <param name="stack">The network.</param>
    /// <param name="key">Both ends as the guest sees them.</param>
    /// <param name="socket">Connected, and closed with this.</param>
    /// <param name="target">To whom it is connected.</param>
    public UdpFlow(NatStack stack, FlowKey key, Socket socket, IPEndPoint target)
        : this(stack, key, socket) => _target = target;

    /// <param name="stack">The network.</param>
    /// <param name="key">Both ends as the guest sees them.</param>
    /// <param name="forward">A forward's socket.</param>
    /// <param name="peer">Who sent to it.</param>
    public UdpFlow(NatStack stack, FlowKey key, Socket forward, SocketAddress peer)
        : this(stack, key, forward) => _peer = peer;

    private UdpFlow(NatStack stack, FlowKey key, Socket socket)
    {
        _stack = stack;
        Key = key;
        _socket = socket;
        _lifetime = key.RemotePort == NatAddresses.DnsPort ? DnsLifetime : Lifetime;
        _idle = new NatTimer(IdleExpired);
        LastUse = stack.Now;
        stack.Timers.Set(_idle, LastUse + _lifetime);
    }

    /// <summary>Both ends as the guest sees them.</summary>
    public FlowKey Key { get; }

    /// <summary>When something went either way last.</summary>
    public long LastUse { get; private set; }

    /// <summary>Sends the guest's data to the host.</summary>
    public void Send(ReadOnlySpan<byte> data)
    {
        LastUse = _stack.Now;
        if (_peer is not null)
        {
            SendToPeer(data);
            return;
        }

        _ = _socket.Send(data, SocketFlags.None, out SocketError error);
        if (error is not (SocketError.Success or SocketError.WouldBlock))
        {
            Failed(error);
        }
    }

    /// <summary>Sends data of the link's buffer to the guest; where the guest has no room, datagrams are lost, as anywhere.</summary>
    public void Deliver(int length)
    {
        LastUse = _stack.Now;
        _stack.Link.SendUdp(length, Key.Remote, Key.RemotePort, Key.Guest, Key.GuestPort);
    }

    /// <inheritdoc/>
    public override void Ready(PollEvents events)
    {
        for (int i = 0; i < TurnDatagrams; i++)
        {
            if (Slot < 0)
            {
                return; // closed
            }

            int length = _socket.Receive(_stack.Link.Buffer.AsSpan(DataOffset), SocketFlags.None, out SocketError error);
            if (error == SocketError.WouldBlock)
            {
                return;
            }

            if (error == SocketError.Success)
            {
                Deliver(length);
            }
            else
            {
                Failed(error);
            }
        }

        _stack.Later(this);
    }

    /// <summary>Ends it.</summary>
    public void Close()
    {
        _stack.Timers.Cancel(_idle);
        _stack.Udp.Remove(this);
        if (_peer is null)
        {
            _stack.Poller.Remove(this, _socket);
            _socket.Dispose();
        }
    }

    private void SendToPeer(ReadOnlySpan<byte> data)
    {
        try
        {
            _socket.SendTo(data, SocketFlags.None, _peer!);
        }
        catch (SocketException)
        {
            // As if it were lost on the way: the peer isn't the guest's to know of.
        }
    }

    // The guest hears what the host's network said of an earlier datagram.
    private void Failed(SocketError error)
    {
        if (_target is not null && NatAddresses.IsNameServer(Key.Remote, Key.RemotePort))
        {
            // The guest asks again, and the next server gets the question.
            _stack.NameServerFailed(_target);
            Close();
            return;
        }

        _stack.Icmp.SendUnreachable(Key, IpProtocol.Udp, 0, IcmpTable.CodeOf(error));
    }

    private void IdleExpired()
    {
        if (_stack.Now - LastUse >= _lifetime)
        {
            Close();
        }
        else
        {
            _stack.Timers.Set(_idle, LastUse + _lifetime);
        }
    }
}
