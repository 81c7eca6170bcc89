using System.Net;
using System.Net.NetworkInformation;
using Dbt.Devices.Network.Announcement;
using PacketDotNet;
using PacketDotNet.Ndp;

namespace Dbt.Tests.Devices.Network;

/// <summary>What is learned of a guest's addresses from its frames, and what the network is told of them; frames made and read by PacketDotNet.</summary>
public sealed class AnnouncementTests : IDisposable
{
    private static readonly PhysicalAddress Mac = PhysicalAddress.Parse("00163E00000A"), Other = PhysicalAddress.Parse("00163E00000B"), Nobody = PhysicalAddress.Parse("000000000000");
    private static readonly IPAddress V4 = IPAddress.Parse("192.0.2.7"), Peer = IPAddress.Parse("192.0.2.1"), V6 = IPAddress.Parse("2001:db8::7"), LinkLocal = IPAddress.Parse("fe80::216:3eff:fe00:a");

    private readonly NetDriver _driver = new();

    [Fact]
    public void AGuestThatSaidNothingIsAnnouncedByItsCard()
    {
        _driver.Backend.Announce();
        byte[] frame = _driver.Cable.Take().Frame;
        Packet packet = Packet.ParsePacket(LinkLayers.Ethernet, frame);
        Assert.Equal((Mac, (EthernetType)0x8035), (((EthernetPacket)packet).SourceHardwareAddress, ((EthernetPacket)packet).Type));

        // PacketDotNet takes ARP alone for ARP, and this has the same form.
        var arp = new ArpPacket(new PacketDotNet.Utils.ByteArraySegment(frame, 14, frame.Length - 14));
        Assert.Equal(3, (int)arp.Operation);
        Assert.Equal((Mac, Mac), (arp.SenderHardwareAddress, arp.TargetHardwareAddress));
        Assert.Empty(_driver.Cable.Frames);
    }

    [Fact]
    public void AGuestThatIsHeldIsNotAnnounced()
    {
        _driver.Backend.Hold();
        _driver.Backend.Announce();
        Assert.Empty(_driver.Cable.Frames);
        _driver.Backend.Release();
        _driver.Backend.Announce();
        Assert.Single(_driver.Cable.Frames);
    }

    [Theory]
    [InlineData(ArpOperation.Request)]
    [InlineData(ArpOperation.Response)]
    public void AnAddressOfArpIsAnnouncedByArp(ArpOperation operation)
    {
        Transmit(Arp(operation, Mac, Mac, V4));
        _driver.Backend.Announce();
        _driver.Cable.Take();
        Packet packet = Packet.ParsePacket(LinkLayers.Ethernet, _driver.Cable.Take().Frame);
        var arp = packet.Extract<ArpPacket>();
        Assert.Equal((Mac, PhysicalAddress.Parse("FFFFFFFFFFFF")), (((EthernetPacket)packet).SourceHardwareAddress, ((EthernetPacket)packet).DestinationHardwareAddress));
        Assert.Equal(ArpOperation.Request, arp.Operation);
        Assert.Equal((Mac, V4, Nobody, V4), (arp.SenderHardwareAddress, arp.SenderProtocolAddress, arp.TargetHardwareAddress, arp.TargetProtocolAddress));
        Assert.Empty(_driver.Cable.Frames);
    }

    [Fact]
    public void AddressesOfNeighbourDiscoveryAreAdvertised()
    {
        Transmit(Neighbour(135, LinkLocal, Peer6()));
        Transmit(Neighbour(136, LinkLocal, V6));
        _driver.Backend.Announce();
        _driver.Cable.Take();
        foreach (IPAddress expected in (IPAddress[])[LinkLocal, V6])
        {
            Packet packet = Packet.ParsePacket(LinkLayers.Ethernet, _driver.Cable.Take().Frame);
            var ip = packet.Extract<IPv6Packet>();
            var icmp = packet.Extract<IcmpV6Packet>();
            var advertisement = packet.Extract<NdpNeighborAdvertisementPacket>();
            Assert.Equal(PhysicalAddress.Parse("333300000001"), ((EthernetPacket)packet).DestinationHardwareAddress);
            Assert.Equal((expected, IPAddress.Parse("ff02::1"), 255), (ip.SourceAddress, ip.DestinationAddress, ip.HopLimit));
            Assert.True(icmp.ValidIcmpChecksum);
            Assert.Equal((expected, true, false, false), (advertisement.TargetAddress, advertisement.Override, advertisement.Solicited, advertisement.Router));
            Assert.Equal(Mac, Assert.IsType<NdpLinkLayerAddressOption>(Assert.Single(advertisement.OptionsCollection)).LinkLayerAddress);
        }

        Assert.Empty(_driver.Cable.Frames);
    }

    [Fact]
    public void WhatIsNotTheGuestsOwnIsNotLearned()
    {
        var learned = new LearnedAddresses(TestFrames.A);
        learned.Watch(Arp(ArpOperation.Request, Mac, Mac, IPAddress.Any));
        learned.Watch(Arp(ArpOperation.Response, Mac, Other, V4));
        learned.Watch(Arp(ArpOperation.Response, Other, Mac, V4));
        learned.Watch(Arp(ArpOperation.Response, Mac, Mac, IPAddress.Parse("224.0.0.1")));
        learned.Watch(Arp(ArpOperation.Response, Mac, Mac, IPAddress.Loopback));
        learned.Watch(Neighbour(135, IPAddress.IPv6Any, V6));
        learned.Watch(Neighbour(135, IPAddress.IPv6Loopback, V6));
        learned.Watch(Neighbour(134, IPAddress.Parse("ff02::7"), V6));
        learned.Watch(TestFrames.Transport(100));
        learned.Watch(TestFrames.Transport(100, v6: true));
        Assert.Empty(learned.All);
    }

    [Fact]
    public void TheLongestUnusedMakesRoom()
    {
        var learned = new LearnedAddresses(TestFrames.A);
        learned.Watch(Arp(ArpOperation.Request, Mac, Mac, V4));
        for (int i = 0; i < 100; i++)
        {
            learned.Watch(Arp(ArpOperation.Request, Mac, Mac, new IPAddress([10, 0, 0, (byte)i])));
            learned.Watch(Arp(ArpOperation.Request, Mac, Mac, V4));
        }

        Assert.Equal(LearnedAddresses.Capacity, learned.All.Count);
        Assert.Equal(V4, learned.All[^1]);
        Assert.Contains(new IPAddress([10, 0, 0, 99]), learned.All);
    }

    [Fact]
    public void FramesOfAnyBytesDoNoHarm()
    {
        var random = new Random(1);
        var learned = new LearnedAddresses(TestFrames.A);
        for (int i = 0; i < 20_000; i++)
        {
            byte[] frame = i % 2 == 0 ? Arp(ArpOperation.Request, Mac, Mac, V4) : Neighbour(136, LinkLocal, V6);
            for (int change = random.Next(4); change > 0; change--)
            {
                frame[random.Next(frame.Length)] = (byte)random.Next(256);
            }

            learned.Watch(frame.AsSpan(0, random.Next(frame.Length + 1)));
        }

        Assert.InRange(learned.All.Count, 1, 2 * LearnedAddresses.Capacity);
    }

    [Fact]
    public void WhatWasLearnedElsewhereIsAnnouncedHere()
    {
        _driver.Backend.Addresses.Add(V4);
        _driver.Backend.Addresses.Add(IPAddress.Parse("fe80::1%3"));
        Assert.Equal([V4, IPAddress.Parse("fe80::1")], _driver.Backend.Addresses.All);
        _driver.Backend.Announce();
        _driver.Cable.Take();
        Assert.Equal(AnnouncementFrames.GratuitousArp(TestFrames.A, V4), _driver.Cable.Take().Frame);
    }

    public void Dispose() => _driver.Dispose();

    private void Transmit(byte[] frame)
    {
        if (_driver.Backend.Status.State != 4)
        {
            _driver.Connect();
        }

        NetDriver.Queue queue = _driver.Queues[0];
        uint reference = _driver.Grant(frame, 0).Reference;
        queue.Put(reference, 0, 0, 1, (ushort)frame.Length);
        _driver.Kick(queue);
        Assert.Equal(frame, _driver.Cable.Take().Frame);
    }

    private static byte[] Arp(ArpOperation operation, PhysicalAddress source, PhysicalAddress sender, IPAddress address) => new EthernetPacket(source, Other, EthernetType.Arp)
    {
        PayloadPacket = new ArpPacket(operation, Nobody, Peer, sender, address),
    }.Bytes;

    // PacketDotNet makes no neighbour discovery of its own.
    private static byte[] Neighbour(byte type, IPAddress source, IPAddress target)
    {
        byte[] message = new byte[24];
        message[0] = type;
        target.GetAddressBytes().CopyTo(message, 8);
        return new EthernetPacket(Mac, Other, EthernetType.IPv6)
        {
            PayloadPacket = new IPv6Packet(source, Peer6()) { NextHeader = ProtocolType.IcmpV6, HopLimit = 255, PayloadData = message },
        }.Bytes;
    }

    private static IPAddress Peer6() => IPAddress.Parse("2001:db8::1");
}
