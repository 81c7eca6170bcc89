using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Dbt.Devices.Network.Offload;

namespace Dbt.Devices.Network.Nat;

/// <summary>All UDP conversations of the guest, at most <see cref="Most"/>; the one that was quiet longest makes room.</summary>
internal sealed class UdpTable(NatStack stack) : IDisposable
{
    /// <summary>Conversations at a time.</summary>
    public const int Most = 512;

    private const int HeaderSize = 8;
    private readonly Dictionary<FlowKey, UdpFlow> _flows = [];

    /// <summary>Conversations there are.</summary>
    public int Count => _flows.Count;

    /// <summary>Takes a datagram of the guest.</summary>
    /// <param name="packet">The packet.</param>
    /// <param name="trusted">Whether its checksum need not be looked at.</param>
    public void Input(in IpPacket packet, bool trusted)
    {
        ReadOnlySpan<byte> data = packet.Payload;
        int length = data.Length < HeaderSize ? 0 : BinaryPrimitives.ReadUInt16BigEndian(data[4..]);
        if (length < HeaderSize || length > data.Length)
        {
            return;
        }

        data = data[..length];
        bool summed = BinaryPrimitives.ReadUInt16BigEndian(data[6..]) != 0;
        if (!trusted && summed && InternetChecksum.Sum(data, PseudoHeader.Sum(packet.Source, packet.Destination, IpProtocol.Udp, length)) != 0xFFFF)
        {
            return;
        }

        var key = new FlowKey(
            packet.Source, BinaryPrimitives.ReadUInt16BigEndian(data), packet.Destination, BinaryPrimitives.ReadUInt16BigEndian(data[2..]));
        if (!_flows.TryGetValue(key, out UdpFlow? flow))
        {
            flow = Open(key);
            if (flow is null)
            {
                stack.Icmp.SendUnreachable(packet, IcmpTable.Prohibited);
                return;
            }
        }

        flow.Send(data[HeaderSize..]);
    }

    /// <summary>Takes a datagram that came to a port that is forwarded.</summary>
    /// <param name="forward">The port's socket, which answers go out by.</param>
    /// <param name="peer">Who sent it.</param>
    /// <param name="key">Both ends as the guest is to see them.</param>
    /// <param name="length">Bytes of data, at <see cref="UdpFlow.DataOffset"/> of the link's buffer.</param>
    public void Input(Socket forward, SocketAddress peer, in FlowKey key, int length)
    {
        if (!_flows.TryGetValue(key, out UdpFlow? flow))
        {
            MakeRoom();
            flow = new UdpFlow(stack, key, forward, peer);
            _flows.Add(key, flow);
        }

        flow.Deliver(length);
    }

    /// <summary>Forgets a conversation.</summary>
    public void Remove(UdpFlow flow) => _flows.Remove(flow.Key);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (UdpFlow flow in _flows.Values.ToArray())
        {
            flow.Close();
        }
    }

    private UdpFlow? Open(in FlowKey key)
    {
        IPEndPoint? target = stack.HostTarget(key.Remote, key.RemotePort);
        Socket? socket = target is null ? null : HostSocket.Create(target.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        if (socket is null)
        {
            return null;
        }

        MakeRoom();
        var flow = new UdpFlow(stack, key, socket, target!);
        if (HostSocket.Connect(socket, target!) != SocketError.Success || !stack.Poller.TryAdd(flow, socket))
        {
            flow.Close();
            return null;
        }

        _flows.Add(key, flow);
        return flow;
    }

    private void MakeRoom()
    {
        if (_flows.Count >= Most)
        {
            _flows.Values.MinBy(flow => flow.LastUse)!.Close();
        }
    }
}
