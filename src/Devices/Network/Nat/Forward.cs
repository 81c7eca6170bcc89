using System.Net;
using System.Net.Sockets;
using Dbt.Runtime;

namespace Dbt.Devices.Network.Nat;

/// <summary>A port of the host that leads into the guest.</summary>
internal sealed class Forward : PollSource, IDisposable
{
    private const int Backlog = 128, TurnLength = 64;

    private readonly NatStack _stack;
    private readonly PortForward _forward;
    private readonly Socket _socket;
    private readonly SocketAddress _peer;

    private Forward(NatStack stack, PortForward forward, Socket socket)
    {
        _stack = stack;
        _forward = forward;
        _socket = socket;
        _peer = new SocketAddress(socket.AddressFamily);
        HostEndPoint = (IPEndPoint)socket.LocalEndPoint!;
    }

    /// <summary>Where it listens.</summary>
    public IPEndPoint HostEndPoint { get; }

    /// <summary>Starts to listen.</summary>
    /// <exception cref="HostException">The port can't be had.</exception>
    public static Forward Start(NatStack stack, PortForward forward)
    {
        bool tcp = forward.Protocol == ForwardProtocol.Tcp;
        Socket? socket = null;
        try
        {
            socket = new Socket(forward.HostAddress.AddressFamily, tcp ? SocketType.Stream : SocketType.Dgram, tcp ? ProtocolType.Tcp : ProtocolType.Udp)
            {
                Blocking = false,
            };
            if (tcp)
            {
                // A port whose former connections are still in TIME-WAIT can be had at once.
                socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            }

            socket.Bind(new IPEndPoint(forward.HostAddress, forward.HostPort));
            if (tcp)
            {
                socket.Listen(Backlog);
            }

            var started = new Forward(stack, forward, socket);
            return stack.Poller.TryAdd(started, socket) ? started : throw new SocketException((int)SocketError.TooManyOpenSockets);
        }
        catch (SocketException exception)
        {
            socket?.Dispose();
            string way = exception.SocketErrorCode switch
            {
                SocketError.AddressAlreadyInUse => "another program has this port; name another one",
                SocketError.AccessDenied => "ports below 1024 are for root; name a higher one",
                SocketError.AddressNotAvailable => "this host has no such address; 127.0.0.1 and 0.0.0.0 always work",
                _ => exception.Message,
            };
            throw new HostException($"forward {forward} can't listen at {new IPEndPoint(forward.HostAddress, forward.HostPort)}: {way}", exception);
        }
    }

    /// <inheritdoc/>
    public override void Ready(PollEvents events)
    {
        // Asked before each: what isn't there would be an exception.
        for (int i = 0; i < TurnLength; i++)
        {
            if (!_socket.Poll(0, SelectMode.SelectRead))
            {
                return;
            }

            try
            {
                Take();
            }
            catch (SocketException)
            {
                // The peer is gone again, or the host has no descriptor left for it: it sees a closed connection.
            }
        }

        _stack.Later(this);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stack.Poller.Remove(this, _socket);
        _socket.Dispose();
    }

    private void Take()
    {
        if (_forward.Protocol == ForwardProtocol.Udp)
        {
            int length = _socket.ReceiveFrom(_stack.Link.Buffer.AsSpan(UdpFlow.DataOffset), SocketFlags.None, _peer);
            var sender = (IPEndPoint)new IPEndPoint(IPAddress.Any, 0).Create(_peer);
            var copy = new SocketAddress(_peer.Family, _peer.Size);
            _peer.Buffer.Span[.._peer.Size].CopyTo(copy.Buffer.Span);
            _stack.Udp.Input(_socket, copy, KeyOf(sender), length);
            return;
        }

        Socket accepted = _socket.Accept();
        FlowKey key;
        try
        {
            accepted.Blocking = false;
            accepted.NoDelay = true;
            key = KeyOf((IPEndPoint)accepted.RemoteEndPoint!);
        }
        catch (SocketException)
        {
            accepted.Dispose();
            throw;
        }

        _stack.Tcp.Accept(accepted, key);
    }

    // As the guest sees it: who is on this host comes from the gateway, and so does whom the guest would take for a neighbour or can't answer.
    private FlowKey KeyOf(IPEndPoint peer)
    {
        IpAddress address = IpAddress.From(peer.Address);
        IpAddress shown = address.IsV4 && NatAddresses.IsOutside(address) ? address : NatAddresses.Gateway;
        return new FlowKey(_stack.Addresses.Guest, (ushort)_forward.GuestPort, shown, (ushort)peer.Port);
    }
}
