using System.Net;
using System.Net.Sockets;
using Dbt.Devices.Network.Nat;
using Dbt.Devices.Network.Offload;

namespace Dbt.Devices.Network.Announcement;

/// <summary>
/// Frames that tell a network where a card is now. All are broadcast or to all nodes and have the card's address as their source, from which
/// switches learn; those of IP addresses renew what neighbours have cached.
/// </summary>
internal static class AnnouncementFrames
{
    private const int EthernetLength = FrameHeaders.EthernetLength, Ipv6Length = 40, AdvertisementLength = 32;

    /// <summary>
    /// A reverse ARP request (RFC 903) from the card, for a guest of which no address is known: nobody answers.
    /// </summary>
    public static byte[] ReverseArp(MacAddress mac) => Arp(mac, [0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3], default, mac);

    /// <summary>
    /// An ARP announcement (RFC 5227, 3): a request whose sender and target are both the address. Every receiver that has it renews it.
    /// </summary>
    public static byte[] GratuitousArp(MacAddress mac, IPAddress address) => Arp(mac, [0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1], address.GetAddressBytes(), default);

    /// <summary>An unsolicited neighbour advertisement (RFC 4861, 7.2.6) to all nodes, that overrides what they have.</summary>
    public static byte[] NeighbourAdvertisement(MacAddress mac, IPAddress address)
    {
        byte[] frame = new byte[EthernetLength + Ipv6Length + AdvertisementLength];
        Span<byte> bytes = frame;
        ((ReadOnlySpan<byte>)[0x33, 0x33, 0, 0, 0, 1]).CopyTo(bytes);
        mac.Write(bytes[6..]);
        ((ReadOnlySpan<byte>)[0x86, 0xDD, 0x60, 0, 0, 0, 0, AdvertisementLength, 58, 255]).CopyTo(bytes[12..]);
        byte[] source = address.GetAddressBytes();
        source.CopyTo(bytes[(EthernetLength + 8)..]);
        ((ReadOnlySpan<byte>)[0xFF, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]).CopyTo(bytes[(EthernetLength + 24)..]);

        // Type, code, checksum, the flag O, the target, and its link-layer address as option 2.
        Span<byte> message = bytes[(EthernetLength + Ipv6Length)..];
        message[0] = 136;
        message[4] = 0x20;
        source.CopyTo(message[8..]);
        message[24] = 2;
        message[25] = 1;
        mac.Write(message[26..]);
        ushort start = InternetChecksum.Sum(bytes.Slice(EthernetLength + 8, 32), 58 + AdvertisementLength);
        PseudoHeader.Store(message[2..], message, start);
        return frame;
    }

    /// <summary>What tells of one address.</summary>
    public static byte[] For(MacAddress mac, IPAddress address) =>
        address.AddressFamily == AddressFamily.InterNetwork ? GratuitousArp(mac, address) : NeighbourAdvertisement(mac, address);

    // Padded to what Ethernet carries at least. Type to operation are given; the target's hardware address is of account in RARP alone.
    private static byte[] Arp(MacAddress mac, ReadOnlySpan<byte> head, ReadOnlySpan<byte> protocolAddress, MacAddress target)
    {
        byte[] frame = new byte[60];
        MacAddress.Broadcast.Write(frame);
        mac.Write(frame.AsSpan(6));
        head.CopyTo(frame.AsSpan(12));
        mac.Write(frame.AsSpan(22));
        protocolAddress.CopyTo(frame.AsSpan(28));
        target.Write(frame.AsSpan(32));
        protocolAddress.CopyTo(frame.AsSpan(38));
        return frame;
    }
}
