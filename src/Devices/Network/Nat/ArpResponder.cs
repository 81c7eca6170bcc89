using System.Buffers.Binary;
using System.Net;
using System.Net.NetworkInformation;
using PacketDotNet;

namespace Dbt.Devices.Network.Nat;

/// <summary>Answers the guest's questions for our two addresses, and remembers who asked (RFC 826).</summary>
internal sealed class ArpResponder(GuestLink link)
{
    private const int Size = 28;

    /// <summary>Takes an ARP packet.</summary>
    /// <param name="data">Behind the Ethernet header.</param>
    /// <param name="from">The Ethernet header's source.</param>
    public void Input(ReadOnlySpan<byte> data, MacAddress from)
    {
        // Ethernet and IPv4, with their lengths.
        if (data.Length < Size || BinaryPrimitives.ReadUInt64BigEndian(data) >> 16 != 0x0001_0800_0604)
        {
            return;
        }

        IpAddress sender = IpAddress.Read(data.Slice(14, 4)), target = IpAddress.Read(data.Slice(24, 4));
        link.Learn(sender, from);
        if (BinaryPrimitives.ReadUInt16BigEndian(data[6..]) != (ushort)ArpOperation.Request || !NatAddresses.IsOurs(target))
        {
            return;
        }

        PhysicalAddress ours = Ethernet.ToPhysical(NatAddresses.GatewayMac), asker = Ethernet.ToPhysical(from);
        IPAddress askerAddress = sender.ToIPAddress();
        var answer = new EthernetPacket(ours, asker, EthernetType.Arp)
        {
            PayloadPacket = new ArpPacket(ArpOperation.Response, asker, askerAddress, ours, target.ToIPAddress()),
        };
        link.SendFrame(answer.Bytes);
    }
}
