using System.Net;
using System.Net.Sockets;
using Dbt.Devices.Network.Offload;

namespace Dbt.Devices.Network.Announcement;

/// <summary>
/// The IP addresses that a guest says are its own, by its frames: ARP senders, and sources and answered targets of neighbour discovery, each
/// under the card's own address. Other frames are not looked at beyond their type. A guest can say what it likes, as it can on a wire; what
/// is kept is bounded, the longest unused making room. Thread-safe.
/// </summary>
/// <param name="mac">The card's address; frames from another are of others behind the guest.</param>
internal sealed class LearnedAddresses(MacAddress mac)
{
    /// <summary>Addresses kept of each family.</summary>
    public const int Capacity = 16;

    private const int Arp = 0x0806, Ipv6 = 0x86DD, EthernetLength = FrameHeaders.EthernetLength;
    private const int ArpLength = 28, Ipv6Length = 40, NeighbourLength = 24;
    private const byte Icmpv6 = 58, RouterSolicitation = 133, NeighbourSolicitation = 135, NeighbourAdvertisement = 136;

    private readonly Lock _lock = new();
    private readonly List<IPAddress> _v4 = [], _v6 = [];

    /// <summary>The addresses, IPv4 first, each family in the order in which they were last seen.</summary>
    public IReadOnlyList<IPAddress> All
    {
        get
        {
            lock (_lock)
            {
                return [.. _v4, .. _v6];
            }
        }
    }

    /// <summary>Takes an address that was learned elsewhere. One that no card can have is left out.</summary>
    public void Add(IPAddress address)
    {
        bool isV4 = address.AddressFamily == AddressFamily.InterNetwork;
        if (!IsUnicast(address.GetAddressBytes()))
        {
            return;
        }

        // Without a scope: a guest's link is not one of the host's.
        var plain = new IPAddress(address.GetAddressBytes());
        lock (_lock)
        {
            List<IPAddress> addresses = isV4 ? _v4 : _v6;
            if (addresses.Count > 0 && addresses[^1].Equals(plain))
            {
                return;
            }

            if (!addresses.Remove(plain) && addresses.Count == Capacity)
            {
                addresses.RemoveAt(0);
            }

            addresses.Add(plain);
        }
    }

    /// <summary>Looks at a frame of the guest's.</summary>
    public void Watch(ReadOnlySpan<byte> frame)
    {
        if (frame.Length < EthernetLength + ArpLength)
        {
            return;
        }

        int type = (frame[12] << 8) | frame[13];
        if (type == Arp)
        {
            WatchArp(frame);
        }
        else if (type == Ipv6 && frame.Length >= EthernetLength + Ipv6Length + 8 && frame[EthernetLength + 6] == Icmpv6)
        {
            WatchNeighbour(frame);
        }
    }

    // RFC 826: Ethernet, IPv4, then sender's hardware and protocol address.
    private void WatchArp(ReadOnlySpan<byte> frame)
    {
        ReadOnlySpan<byte> arp = frame[EthernetLength..];
        if (arp[..6].SequenceEqual((ReadOnlySpan<byte>)[0, 1, 8, 0, 6, 4]) && IsMine(frame[6..]) && IsMine(arp[8..]))
        {
            Add(new IPAddress(arp.Slice(14, 4)));
        }
    }

    // RFC 4861, 4.1 to 4.4. The target of an advertisement is the sender's, or what it answers for.
    private void WatchNeighbour(ReadOnlySpan<byte> frame)
    {
        ReadOnlySpan<byte> message = frame[(EthernetLength + Ipv6Length)..];
        if (!IsMine(frame[6..]) || message[0] is < RouterSolicitation or > NeighbourAdvertisement)
        {
            return;
        }

        Add(new IPAddress(frame.Slice(EthernetLength + 8, 16)));
        if (message[0] == NeighbourAdvertisement && message.Length >= NeighbourLength)
        {
            Add(new IPAddress(message.Slice(8, 16)));
        }
    }

    private bool IsMine(ReadOnlySpan<byte> address) => MacAddress.Read(address) == mac;

    private static bool IsUnicast(ReadOnlySpan<byte> address) => address.Length == 4
        ? address[0] is not 0 and not 127 and < 224
        : address[0] != 0xFF && address[..15].ContainsAnyExcept((byte)0);
}
