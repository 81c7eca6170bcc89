using System.Buffers.Binary;
using System.Net.Sockets;
using Dbt.Devices.Network.Offload;

namespace Dbt.Devices.Network.Nat;

/// <summary>
/// ICMP (RFC 792): echoes to our own addresses are answered here, to others go out by the host's unprivileged ICMP sockets (icmp(7),
/// net.ipv4.ping_group_range), at most <see cref="Most"/> conversations; and errors for the guest.
/// </summary>
internal sealed class IcmpTable(NatStack stack) : IDisposable
{
    /// <summary>Codes of "destination unreachable".</summary>
    public const byte NetworkUnreachable = 0, HostUnreachable = 1, ProtocolUnreachable = 2, PortUnreachable = 3, Prohibited = 13;

    /// <summary>Conversations at a time.</summary>
    public const int Most = 64;

    /// <summary>Bytes of the header of an echo.</summary>
    public const int HeaderSize = 8;

    private const byte EchoReply = 0, Unreachable = 3, EchoRequest = 8;
    private readonly Dictionary<FlowKey, IcmpFlow> _flows = [];

    /// <summary>Conversations there are.</summary>
    public int Count => _flows.Count;

    /// <summary>What to tell a guest of the host's error.</summary>
    public static byte CodeOf(SocketError error) => error switch
    {
        SocketError.ConnectionRefused => PortUnreachable,
        SocketError.NetworkUnreachable => NetworkUnreachable,
        SocketError.AccessDenied => Prohibited,
        _ => HostUnreachable,
    };

    /// <summary>Takes an ICMP message of the guest.</summary>
    public void Input(in IpPacket packet)
    {
        ReadOnlySpan<byte> message = packet.Payload;
        if (message.Length < HeaderSize || message[0] != EchoRequest || message[1] != 0 || InternetChecksum.Sum(message) != 0xFFFF)
        {
            return;
        }

        if (NatAddresses.IsOurs(packet.Destination))
        {
            message.CopyTo(stack.Link.Buffer.AsSpan(GuestLink.PayloadOffset));
            SendEchoReply(message.Length, packet.Destination, packet.Source);
            return;
        }

        var key = new FlowKey(packet.Source, BinaryPrimitives.ReadUInt16BigEndian(message[4..]), packet.Destination, 0);
        if (!_flows.TryGetValue(key, out IcmpFlow? flow))
        {
            flow = Open(key);
            if (flow is null)
            {
                SendUnreachable(packet, Prohibited);
                return;
            }
        }

        flow.Send(message);
    }

    /// <summary>Sends an echo reply whose message is at <see cref="GuestLink.PayloadOffset"/> of the link's buffer but for type and checksum.</summary>
    public void SendEchoReply(int length, IpAddress from, IpAddress to)
    {
        Span<byte> message = stack.Link.Buffer.AsSpan(GuestLink.PayloadOffset, length);
        message[0] = EchoReply;
        message[1] = 0;
        message[2..4].Clear();
        PseudoHeader.Store(message[2..], message);
        stack.Link.SendFragmented(stack.Link.Buffer, GuestLink.PayloadOffset, length, from, to, IpProtocol.Icmp, new FrameOffload(DataValidated: true));
    }

    /// <summary>Tells the guest that a packet of its couldn't be delivered.</summary>
    public void SendUnreachable(in IpPacket packet, byte code) => SendUnreachable(packet.Bytes[..Math.Min(packet.Bytes.Length, 28)], packet.Destination, packet.Source, code);

    /// <summary>The same of a packet that is no longer there: its header is made anew (RFC 792 wants it and the first 8 bytes behind it).</summary>
    /// <param name="key">The conversation.</param>
    /// <param name="protocol">TCP or UDP.</param>
    /// <param name="sequence">TCP's sequence number, or length and checksum of a UDP datagram, where known.</param>
    /// <param name="code">What is wrong.</param>
    public void SendUnreachable(in FlowKey key, byte protocol, uint sequence, byte code)
    {
        Span<byte> packet = stackalloc byte[28];
        packet.Clear();
        BinaryPrimitives.WriteUInt16BigEndian(packet, 0x4500);
        BinaryPrimitives.WriteUInt16BigEndian(packet[2..], 28);
        packet[8] = 64;
        packet[9] = protocol;
        key.Guest.Write(packet[12..16]);
        key.Remote.Write(packet[16..20]);
        PseudoHeader.Store(packet[10..], packet[..20]);
        BinaryPrimitives.WriteUInt16BigEndian(packet[20..], key.GuestPort);
        BinaryPrimitives.WriteUInt16BigEndian(packet[22..], key.RemotePort);
        BinaryPrimitives.WriteUInt32BigEndian(packet[24..], sequence);
        SendUnreachable(packet, key.Remote, key.Guest, code);
    }

    /// <summary>Forgets a conversation.</summary>
    public void Remove(IcmpFlow flow) => _flows.Remove(flow.Key);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (IcmpFlow flow in _flows.Values.ToArray())
        {
            flow.Close();
        }
    }

    private IcmpFlow? Open(in FlowKey key)
    {
        Socket? socket = stack.MayEcho(key.Remote) ? HostSocket.Create(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Icmp) : null;
        if (socket is null)
        {
            return null;
        }

        if (_flows.Count >= Most)
        {
            _flows.Values.MinBy(other => other.LastUse)!.Close();
        }

        var flow = new IcmpFlow(stack, key, socket);
        if (HostSocket.Connect(socket, new System.Net.IPEndPoint(key.Remote.ToIPAddress(), 0)) != SocketError.Success || !stack.Poller.TryAdd(flow, socket))
        {
            flow.Close();
            return null;
        }

        _flows.Add(key, flow);
        return flow;
    }

    // From the gateway: a host that isn't there sends nothing itself.
    private void SendUnreachable(ReadOnlySpan<byte> quoted, IpAddress remote, IpAddress guest, byte code)
    {
        Span<byte> message = stack.Link.Buffer.AsSpan(GuestLink.PayloadOffset, HeaderSize + quoted.Length);
        message.Clear();
        message[0] = Unreachable;
        message[1] = code;
        quoted.CopyTo(message[HeaderSize..]);
        PseudoHeader.Store(message[2..], message);
        IpAddress from = code == PortUnreachable ? remote : NatAddresses.Gateway;
        stack.Link.SendIp(stack.Link.Buffer, GuestLink.PayloadOffset, message.Length, from, guest, IpProtocol.Icmp, new FrameOffload(DataValidated: true));
    }
}
