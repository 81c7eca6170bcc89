using System.Buffers.Binary;

namespace Dbt.Devices.Network.Offload;

/// <summary>
/// Where the headers of a TCP or UDP frame are, each checked to lie within the frame. Only what an offload applies to has one: whole
/// IPv4 and IPv6 packets (no fragments), with up to two VLAN tags.
/// </summary>
internal readonly record struct FrameHeaders
{
    /// <summary>Bytes of an Ethernet header without tags.</summary>
    public const int EthernetLength = 14;

    private const int MaxTags = 2, MaxExtensions = 8;
    private const byte Tcp = 6, Udp = 17, HopByHop = 0, Routing = 43, DestinationOptions = 60;

    /// <summary>Whether the packet is IPv6; IPv4 otherwise.</summary>
    public bool IsV6 { get; private init; }

    /// <summary>Whether it is TCP; UDP otherwise.</summary>
    public bool IsTcp { get; private init; }

    /// <summary>Offset of the IP header.</summary>
    public int Network { get; private init; }

    /// <summary>Offset of the TCP or UDP header.</summary>
    public int Transport { get; private init; }

    /// <summary>Offset of the first byte behind the TCP or UDP header and its options.</summary>
    public int Payload { get; private init; }

    /// <summary>Offset behind the packet's last byte, as its IP header has it; the frame may be longer (padding).</summary>
    public int End { get; init; }

    /// <summary>Offset of the TCP or UDP checksum.</summary>
    public int Checksum => Transport + (IsTcp ? 16 : 6);

    /// <summary>Finds the headers.</summary>
    /// <returns>False where the frame holds no whole TCP or UDP packet.</returns>
    public static bool TryParse(ReadOnlySpan<byte> frame, out FrameHeaders headers)
    {
        headers = default;
        int network = EthernetLength;
        for (int tags = 0; network <= frame.Length; tags++)
        {
            switch (BinaryPrimitives.ReadUInt16BigEndian(frame[(network - 2)..]))
            {
                case 0x0800:
                    return TryParseV4(frame, network, ref headers);
                case 0x86DD:
                    return TryParseV6(frame, network, ref headers);
                case 0x8100 or 0x88A8 when tags < MaxTags:
                    network += 4;
                    break;
                default:
                    return false;
            }
        }

        return false;
    }

    private static bool TryParseV4(ReadOnlySpan<byte> frame, int network, ref FrameHeaders headers)
    {
        ReadOnlySpan<byte> packet = frame[network..];
        if (packet.Length < 20 || packet[0] >> 4 != 4)
        {
            return false;
        }

        int header = (packet[0] & 15) * 4;
        int total = BinaryPrimitives.ReadUInt16BigEndian(packet[2..]);
        bool fragment = (BinaryPrimitives.ReadUInt16BigEndian(packet[6..]) & 0x3FFF) != 0;
        return header >= 20 && total >= header && total <= packet.Length && !fragment
            && TryParseTransport(frame, false, packet[9], network, network + header, network + total, ref headers);
    }

    private static bool TryParseV6(ReadOnlySpan<byte> frame, int network, ref FrameHeaders headers)
    {
        ReadOnlySpan<byte> packet = frame[network..];
        if (packet.Length < 40 || packet[0] >> 4 != 6)
        {
            return false;
        }

        int total = 40 + BinaryPrimitives.ReadUInt16BigEndian(packet[4..]);
        if (total > packet.Length)
        {
            return false;
        }

        byte protocol = packet[6];
        int offset = 40;
        for (int i = 0; i < MaxExtensions && protocol is HopByHop or Routing or DestinationOptions; i++)
        {
            if (offset + 8 > total)
            {
                return false;
            }

            protocol = packet[offset];
            offset += (packet[offset + 1] + 1) * 8;
        }

        return TryParseTransport(frame, true, protocol, network, network + offset, network + total, ref headers);
    }

    private static bool TryParseTransport(
        ReadOnlySpan<byte> frame, bool v6, byte protocol, int network, int transport, int end, ref FrameHeaders headers)
    {
        int length = protocol switch
        {
            Tcp when transport + 20 <= end => (frame[transport + 12] >> 4) * 4,
            Udp => 8,
            _ => 0,
        };
        if (length < 8 || (protocol == Tcp && length < 20) || transport + length > end)
        {
            return false;
        }

        headers = new FrameHeaders
        {
            IsV6 = v6,
            IsTcp = protocol == Tcp,
            Network = network,
            Transport = transport,
            Payload = transport + length,
            End = end,
        };
        return true;
    }
}
