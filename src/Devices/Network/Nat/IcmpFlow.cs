using System.Buffers.Binary;
using System.Net.Sockets;

namespace Dbt.Devices.Network.Nat;

/// <summary>
/// Echoes of one identifier to one address. The host's kernel gives its socket an identifier of its own and keeps answers apart by it; the
/// guest's is put back.
/// </summary>
internal sealed class IcmpFlow : PollSource
{
    private const int Lifetime = 60_000, TurnMessages = 64;

    private readonly NatStack _stack;
    private readonly Socket _socket;
    private readonly NatTimer _idle;

    /// <param name="stack">The network.</param>
    /// <param name="key">The guest's address and identifier, and to whom.</param>
    /// <param name="socket">Closed with this.</param>
    public IcmpFlow(NatStack stack, FlowKey key, Socket socket)
    {
        _stack = stack;
        Key = key;
        _socket = socket;
        _idle = new NatTimer(IdleExpired);
        LastUse = stack.Now;
        stack.Timers.Set(_idle, LastUse + Lifetime);
    }

    /// <summary>The guest's address and identifier, and to whom.</summary>
    public FlowKey Key { get; }

    /// <summary>When something went either way last.</summary>
    public long LastUse { get; private set; }

    /// <summary>Sends an echo request.</summary>
    public void Send(ReadOnlySpan<byte> message)
    {
        LastUse = _stack.Now;
        _ = _socket.Send(message, SocketFlags.None, out SocketError error);
        Tell(error);
    }

    /// <inheritdoc/>
    public override void Ready(PollEvents events)
    {
        for (int i = 0; i < TurnMessages; i++)
        {
            if (Slot < 0)
            {
                return; // closed
            }

            byte[] buffer = _stack.Link.Buffer;
            int length = _socket.Receive(buffer.AsSpan(GuestLink.PayloadOffset), SocketFlags.None, out SocketError error);
            if (error == SocketError.WouldBlock)
            {
                return;
            }

            if (error == SocketError.Success && length >= IcmpTable.HeaderSize)
            {
                LastUse = _stack.Now;
                BinaryPrimitives.WriteUInt16BigEndian(buffer.AsSpan(GuestLink.PayloadOffset + 4), Key.GuestPort);
                _stack.Icmp.SendEchoReply(length, Key.Remote, Key.Guest);
            }

            Tell(error);
        }

        _stack.Later(this);
    }

    /// <summary>Ends it.</summary>
    public void Close()
    {
        _stack.Timers.Cancel(_idle);
        _stack.Icmp.Remove(this);
        _stack.Poller.Remove(this, _socket);
        _socket.Dispose();
    }

    private void Tell(SocketError error)
    {
        if (error is not (SocketError.Success or SocketError.WouldBlock))
        {
            // Type 8, code 0, no checksum, then the identifier, as the ports' place has it.
            FlowKey quoted = Key with { GuestPort = 0x0800, RemotePort = 0 };
            _stack.Icmp.SendUnreachable(quoted, IpProtocol.Icmp, (uint)Key.GuestPort << 16, IcmpTable.CodeOf(error));
        }
    }

    private void IdleExpired()
    {
        if (_stack.Now - LastUse >= Lifetime)
        {
            Close();
        }
        else
        {
            _stack.Timers.Set(_idle, LastUse + Lifetime);
        }
    }
}
