using System.Net;
using System.Net.NetworkInformation;
using PacketDotNet;
using PacketDotNet.DhcpV4;

namespace Dbt.Tests.Devices.Nat;

/// <summary>How a guest gets its address and finds its gateway.</summary>
public sealed class NatDhcpTests
{
    private static readonly IPAddress Any = IPAddress.Any;

    private static void Request(NatBench bench, DhcpV4MessageType type, IPAddress client, params DhcpV4Option[] options)
    {
        var packet = new DhcpV4Packet(new PacketDotNet.Utils.ByteArraySegment(new byte[240]), null)
        {
            Operation = DhcpV4Operation.BootRequest,
            HardwareType = DhcpV4HardwareType.Ethernet,
            HardwareLength = 6,
            TransactionId = 0xCAFE_F00D,
            ClientHardwareAddress = NatBench.GuestMac,
            ClientAddress = client,
            YourAddress = Any,
            ServerAddress = Any,
            GatewayAddress = Any,
            MagicNumber = 0x6382_5363,
        };

        // The library's setter of options sets none.
        IEnumerable<byte> bytes = options.Prepend(new MessageTypeOption(type)).SelectMany(o => (byte[])[(byte)o.OptionType, (byte)o.Data.Length, .. o.Data]);
        bench.TransmitUdp(68, IPAddress.Broadcast, 67, [.. packet.Bytes, .. bytes, 255], from: client);
    }

    private static (DhcpV4Packet Answer, IPAddress To) Answer(NatBench bench)
    {
        bench.Run(() => bench.Others.Count > 0, "an answer");
        IPv4Packet ip = NatBench.V4(Assert.Single(bench.Others))!;
        bench.Others.Clear();
        var udp = (UdpPacket)ip.PayloadPacket;
        Assert.Equal((67, 68), (udp.SourcePort, udp.DestinationPort));
        Assert.Equal(NatBench.Gateway, ip.SourceAddress);
        var answer = (DhcpV4Packet)udp.PayloadPacket;
        Assert.Equal((0xCAFE_F00Du, DhcpV4Operation.BootReply, NatBench.GuestMac), (answer.TransactionId, answer.Operation, answer.ClientHardwareAddress));
        return (answer, ip.DestinationAddress);
    }

    private static T Option<T>(DhcpV4Packet packet)
        where T : DhcpV4Option => Assert.Single(packet.GetOptions().OfType<T>());

    [Fact]
    public void TheWholeHandshake()
    {
        using var bench = new NatBench(configure: c => c with { HostName = "web server_1!", Mtu = 1400 });
        Request(bench, DhcpV4MessageType.Discover, Any);
        (DhcpV4Packet offer, IPAddress to) = Answer(bench);
        Assert.Equal((DhcpV4MessageType.Offer, NatBench.Guest, NatBench.Guest), (offer.MessageType, offer.YourAddress, to));
        Assert.Equal(IPAddress.Parse("255.255.255.0"), Option<SubnetMaskOption>(offer).SubnetMask);

        Request(bench, DhcpV4MessageType.Request, Any, new AddressRequestOption(offer.YourAddress), new ServerIdOption(NatBench.Gateway));
        (DhcpV4Packet ack, _) = Answer(bench);
        Assert.Equal((DhcpV4MessageType.Ack, NatBench.Guest), (ack.MessageType, ack.YourAddress));
        Assert.Equal(NatBench.Gateway, Assert.Single(Option<RouterOption>(ack).Routers));
        Assert.Equal(NatBench.NameServer, Assert.Single(Option<DomainNameServerOption>(ack).DomainNameServers));
        Assert.Equal(TimeSpan.FromDays(1), Option<AddressTimeOption>(ack).AddressTime);
        Assert.Equal("webserver1", Option<HostNameOption>(ack).HostName);
        Assert.Equal([26, 2, 1400 >> 8, 1400 & 255], ack.Bytes.Skip(240).SkipWhile(b => b != 26).Take(4).Select(b => (int)b)); // the library reads none of this kind

        // A renewal comes from the address itself, and so does the request for settings alone.
        Request(bench, DhcpV4MessageType.Request, NatBench.Guest);
        Assert.Equal((DhcpV4MessageType.Ack, NatBench.Guest), (Answer(bench).Answer.MessageType, NatBench.Guest));
        Request(bench, DhcpV4MessageType.Inform, NatBench.Guest);
        (DhcpV4Packet inform, _) = Answer(bench);
        Assert.Equal((DhcpV4MessageType.Ack, Any), (inform.MessageType, inform.YourAddress));
        Assert.Empty(inform.GetOptions().OfType<AddressTimeOption>());
    }

    [Fact]
    public void AnotherAddressIsRefused()
    {
        using var bench = new NatBench(configure: c => c with { GuestAddress = IPAddress.Parse("10.0.2.20") });
        Request(bench, DhcpV4MessageType.Request, Any, new AddressRequestOption(NatBench.Guest));
        (DhcpV4Packet answer, IPAddress to) = Answer(bench);
        Assert.Equal((DhcpV4MessageType.Nak, IPAddress.Broadcast), (answer.MessageType, to));
        Request(bench, DhcpV4MessageType.Discover, Any);
        Assert.Equal(IPAddress.Parse("10.0.2.20"), Answer(bench).Answer.YourAddress);

        // Another server was chosen; an address was given back.
        Request(bench, DhcpV4MessageType.Request, Any, new ServerIdOption(IPAddress.Parse("10.0.2.9")));
        Request(bench, DhcpV4MessageType.Release, Any);
        bench.Settle();
        Assert.Empty(bench.Others);
    }

    [Theory]
    [InlineData("10.0.2.2", true)]
    [InlineData("10.0.2.3", true)]
    [InlineData("10.0.2.15", false)]
    [InlineData("10.0.2.99", false)]
    public void OurAddressesAreFound(string address, bool found)
    {
        using var bench = new NatBench();
        PhysicalAddress broadcast = PhysicalAddress.Parse("FFFFFFFFFFFF");
        var question = new EthernetPacket(NatBench.GuestMac, broadcast, EthernetType.Arp)
        {
            PayloadPacket = new ArpPacket(ArpOperation.Request, PhysicalAddress.Parse("000000000000"), IPAddress.Parse(address), NatBench.GuestMac, NatBench.Guest),
        };
        bench.Transmit(question.Bytes);
        bench.Settle();
        if (!found)
        {
            Assert.Empty(bench.Others);
            return;
        }

        var answer = (ArpPacket)Assert.Single(bench.Others).PayloadPacket;
        Assert.Equal((ArpOperation.Response, NatBench.GatewayMac, IPAddress.Parse(address)), (answer.Operation, answer.SenderHardwareAddress, answer.SenderProtocolAddress));
        Assert.Equal((NatBench.GuestMac, NatBench.Guest), (answer.TargetHardwareAddress, answer.TargetProtocolAddress));
    }
}
