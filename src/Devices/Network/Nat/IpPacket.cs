using System.Buffers.Binary;
using Dbt.Devices.Network.Offload;

namespace Dbt.Devices.Network.Nat;

/// <summary>Protocol numbers of IP.</summary>
internal static class IpProtocol
{
    /// <summary>Those that are known here.</summary>
    public const byte Icmp = 1, Tcp = 6, Udp = 17;
}

/// <summary>
/// An IP packet, looked at in place. These headers are read here and not by PacketDotNet: that makes objects of every layer, and throws for
/// what is malformed, while this runs for every segment of a transfer and on whatever a guest sends.
/// </summary>
internal readonly ref struct IpPacket
{
    /// <summary>The whole of it: header and data, without what Ethernet pads.</summary>
    public ReadOnlySpan<byte> Bytes { get; private init; }

    /// <summary>What the header carries.</summary>
    public ReadOnlySpan<byte> Payload { get; private init; }

    /// <summary>From.</summary>
    public IpAddress Source { get; private init; }

    /// <summary>To.</summary>
    public IpAddress Destination { get; private init; }

    /// <summary>Of the payload.</summary>
    public byte Protocol { get; private init; }

    /// <summary>TTL, or hop limit.</summary>
    public byte HopLimit { get; private init; }

    /// <summary>IPv4: identification, and place of a fragment in units of 8 bytes, with the flag that more follows in bit 13.</summary>
    public ushort Identification { get; private init; }

    /// <inheritdoc cref="Identification"/>
    public ushort FragmentField { get; private init; }

    /// <summary>Whether it is a piece of a larger one.</summary>
    public bool IsFragment => (FragmentField & 0x3FFF) != 0;

    /// <summary>Reads an IPv4 packet (RFC 791), the checksum of its header included.</summary>
    public static bool TryParseV4(ReadOnlySpan<byte> data, out IpPacket packet)
    {
        packet = default;
        if (data.Length < 20 || data[0] >> 4 != 4)
        {
            return false;
        }

        int headerSize = (data[0] & 15) * 4, length = BinaryPrimitives.ReadUInt16BigEndian(data[2..]);
        if (headerSize < 20 || length < headerSize || length > data.Length || InternetChecksum.Sum(data[..headerSize]) != 0xFFFF)
        {
            return false;
        }

        packet = new IpPacket
        {
            Bytes = data[..length],
            Payload = data[headerSize..length],
            Source = IpAddress.Read(data.Slice(12, 4)),
            Destination = IpAddress.Read(data.Slice(16, 4)),
            Protocol = data[9],
            HopLimit = data[8],
            Identification = BinaryPrimitives.ReadUInt16BigEndian(data[4..]),
            FragmentField = BinaryPrimitives.ReadUInt16BigEndian(data[6..]),
        };
        return true;
    }

    /// <summary>The same packet with the data of all its fragments.</summary>
    public IpPacket WithPayload(ReadOnlySpan<byte> whole) => new()
    {
        Bytes = Bytes,
        Payload = whole,
        Source = Source,
        Destination = Destination,
        Protocol = Protocol,
        HopLimit = HopLimit,
        Identification = Identification,
    };

    /// <summary>Whether the checksum over the payload and the pseudo header is right.</summary>
    public bool HasValidChecksum() =>
        InternetChecksum.Sum(Payload, PseudoHeader.Sum(Source, Destination, Protocol, Payload.Length)) == 0xFFFF;
}
