using System.Buffers.Binary;

namespace Dbt.Devices.Network.Nat;

/// <summary>A TCP segment that belongs to no connection.</summary>
internal static class TcpReset
{
    /// <summary>Sends a reset to the guest; where the guest has no room it is dropped, as the guest's next segment gets another.</summary>
    public static void Send(GuestLink link, in FlowKey key, uint sequence, uint acknowledgement, TcpFlags flags)
    {
        Span<byte> header = link.Buffer.AsSpan(GuestLink.PayloadOffset, TcpSegment.HeaderSize);
        header.Clear();
        BinaryPrimitives.WriteUInt16BigEndian(header, key.RemotePort);
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], key.GuestPort);
        BinaryPrimitives.WriteUInt32BigEndian(header[4..], sequence);
        BinaryPrimitives.WriteUInt32BigEndian(header[8..], acknowledgement);
        header[12] = TcpSegment.HeaderSize / 4 << 4;
        header[13] = (byte)flags;
        PseudoHeader.Store(header[16..], header, PseudoHeader.Sum(key.Remote, key.Guest, IpProtocol.Tcp, header.Length));
        link.SendIp(link.Buffer, GuestLink.PayloadOffset, header.Length, key.Remote, key.Guest, IpProtocol.Tcp, new FrameOffload(DataValidated: true));
    }
}
