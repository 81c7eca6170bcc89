using System.Net;
using System.Net.Sockets;
using CsCheck;
using Dbt.Devices.Network;
using Dbt.Devices.Network.Nat;
using PacketDotNet;

namespace Dbt.Tests.Devices.Nat;

/// <summary>Whatever a guest sends, nothing throws and nothing grows without bound.</summary>
public sealed class NatFuzzTests
{
    // Frames that mean something, to be damaged; all to one listener, so that nothing leaves this machine.
    private static byte[][] Seeds(ushort port)
    {
        var frames = new List<byte[]>();
        void Ip(IPAddress to, Packet payload, PacketDotNet.ProtocolType protocol)
        {
            var ip = new IPv4Packet(NatBench.Guest, to) { PayloadPacket = payload, Protocol = protocol, TimeToLive = 64 };
            ip.UpdateIPChecksum();
            frames.Add(new EthernetPacket(NatBench.GuestMac, NatBench.GatewayMac, EthernetType.IPv4) { PayloadPacket = ip }.Bytes);
        }

        foreach (bool ack in (bool[])[false, true])
        {
            Ip(NatBench.Gateway, new TcpPacket(1000, port) { Synchronize = !ack, Acknowledgment = ack, SequenceNumber = 100, WindowSize = 5000, PayloadData = ack ? new byte[50] : [] }, PacketDotNet.ProtocolType.Tcp);
        }

        Ip(NatBench.Gateway, new UdpPacket(1000, port) { PayloadData = new byte[30] }, PacketDotNet.ProtocolType.Udp);
        Ip(NatBench.Gateway, new IcmpV4Packet(new PacketDotNet.Utils.ByteArraySegment(new byte[40])) { TypeCode = IcmpV4TypeCode.EchoRequest }, PacketDotNet.ProtocolType.Icmp);
        Ip(IPAddress.Broadcast, new UdpPacket(68, 67) { PayloadData = [1, 1, 6, 0, .. new byte[232], 0x63, 0x82, 0x53, 0x63, 53, 1, 1, 50, 4, 10, 0, 2, 15, 255] }, PacketDotNet.ProtocolType.Udp);
        frames.Add(new EthernetPacket(NatBench.GuestMac, NatBench.GatewayMac, EthernetType.Arp)
        {
            PayloadPacket = new ArpPacket(ArpOperation.Request, NatBench.GatewayMac, NatBench.Gateway, NatBench.GuestMac, NatBench.Guest),
        }.Bytes);
        return [.. frames];
    }

    // Checksums are not looked at, so that damage reaches what is behind them; the IP header's is made good.
    private static byte[] Damage(byte[] seed, (int Place, byte Value)[] changes, int cut)
    {
        byte[] frame = [.. seed];
        foreach ((int place, byte value) in changes)
        {
            frame[place % frame.Length] = value;
        }

        frame = frame[..Math.Max(0, frame.Length - cut)];
        if (frame.Length >= 34 && frame[12] == 8 && frame[13] == 0)
        {
            // Nowhere but to this machine.
            byte[] to = frame[30] == 255 ? [255, 255, 255, 255] : [10, 0, 2, frame[33]];
            to.CopyTo(frame, 30);
            int size = Math.Min((frame[14] & 15) * 4, frame.Length - 14);
            frame[24] = frame[25] = 0;
            int sum = 0;
            for (int i = 0; i + 1 < size; i += 2)
            {
                sum += (frame[14 + i] << 8) | frame[15 + i];
            }

            sum = (sum & 0xFFFF) + (sum >> 16);
            sum = ~((sum & 0xFFFF) + (sum >> 16));
            frame[24] = (byte)(sum >> 8);
            frame[25] = (byte)sum;
        }

        return frame;
    }

    [Fact]
    public void DamagedFrames()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        byte[][] seeds = Seeds((ushort)((IPEndPoint)listener.LocalEndpoint).Port);
        Gen<(int Place, byte Value)[]> changes = Gen.Select(Gen.Int[0, 120], Gen.Byte).Array[0, 6];
        Gen<(byte[] Frame, bool Trusted)[]> frames = Gen.Select(Gen.Int[0, seeds.Length - 1], changes, Gen.Int[0, 3], Gen.Bool, (seed, c, cut, trusted) =>
            (Damage(seeds[seed], c, cut * cut * 7), trusted)).Array[1, 60];
        frames.Repeat(
            sequence =>
            {
                using var bench = new NatBench();
                foreach ((byte[] frame, bool trusted) in sequence)
                {
                    bench.Stack.Input(frame, new FrameOffload(DataValidated: trusted));
                }

                bench.Stack.Step(0);
                bench.Stack.Step(0);
                Assert.InRange(bench.Stack.Tcp.Count, 0, sequence.Length);
                Assert.InRange(bench.Stack.Udp.Count, 0, sequence.Length);
                Assert.InRange(bench.Stack.Incomplete, 0, FragmentTable.Most);
            },
            iterations: 400);
    }

    [Fact]
    public void Noise() => Gen.Select(Gen.Byte.Array[0, 200], Gen.Bool).Repeat(
        item =>
        {
            using var bench = new NatBench(configure: c => c with { Restrict = true });
            (byte[] frame, bool ip) = item;
            if (ip && frame.Length > 14)
            {
                frame = [.. NatBench.GatewayMac.GetAddressBytes(), .. NatBench.GuestMac.GetAddressBytes(), 8, (byte)(frame[0] % 2 * 6), .. frame];
            }

            bench.Stack.Input(frame, default);
            bench.Stack.Step(0);
            Assert.Equal(0, bench.Stack.Poller.Count);
        },
        iterations: 2000);

    // A connection that is there, and segments of every kind to it: it stays within its memory, and what the host gets is what was in order.
    [Fact]
    public void SegmentsOfAnyKind()
    {
        using var server = new HostServer(async socket =>
        {
            try
            {
                await HostServer.ReadAll(socket);
            }
            catch (SocketException)
            {
                // Reset, as it should be now and then.
            }
        });
        Gen.Select(Gen.Int[-70_000, 700_000], Gen.Int[-10, 10], Gen.Int[0, 1460], Gen.Byte, Gen.UShort).Array[1, 80].Repeat(
            segments =>
            {
                using var bench = new NatBench();
                GuestTcp tcp = GuestTcp.Connect(bench, 40000, NatBench.Gateway, server.Port, first: 0xFFFF_FFF0);
                tcp.SentByOthers = true;
                bench.Run(() => tcp.IsEstablished, "connect");
                foreach ((int sequence, int acknowledgement, int length, byte flags, ushort window) in segments)
                {
                    var segment = new TcpPacket(40000, server.Port)
                    {
                        SequenceNumber = tcp.NextSent + (uint)sequence,
                        AcknowledgmentNumber = tcp.NextExpected + (uint)acknowledgement,
                        WindowSize = window,
                        PayloadData = new byte[length],
                        Acknowledgment = (flags & 0x70) != 0,
                        Finished = flags % 16 == 1,
                        Synchronize = flags % 16 == 2,
                        Reset = flags % 64 == 3,
                    };
                    bench.Transmit(NatBench.Gateway, segment, PacketDotNet.ProtocolType.Tcp);
                }

                bench.Settle();
                Assert.InRange(bench.Stack.Tcp.Count, 0, 1);
                Assert.InRange(bench.Stack.Pool.Used, 0, 1 << 20);
            },
            iterations: 60);
    }

    [Fact]
    public void TheWholeThingWithItsThread()
    {
        using var server = new HostServer(async socket => await HostServer.Write(socket, await HostServer.ReadAll(socket)));
        var guest = new RecordingEnd();
        using var network = new UserNetwork(new UserNetworkConfiguration { GuestMac = NatBench.Mac });
        network.Connect(guest);
        byte[] syn = Seeds(server.Port)[0];
        Assert.True(network.Send(syn, new FrameOffload(DataValidated: true)));
        byte[] frame = guest.Frames.Take();
        var tcp = (TcpPacket)((IPv4Packet)Packet.ParsePacket(LinkLayers.Ethernet, frame).PayloadPacket).PayloadPacket;
        Assert.True(tcp.Synchronize && tcp.Acknowledgment);
        Assert.Equal(101u, tcp.AcknowledgmentNumber);
    }

    private sealed class RecordingEnd : INetworkEnd
    {
        public event Action? RoomAvailable
        {
            add { }
            remove { }
        }

        public System.Collections.Concurrent.BlockingCollection<byte[]> Frames { get; } = [];

        public LinkFeatures Features => default;

        public bool Send(ReadOnlySpan<byte> frame, FrameOffload offload)
        {
            Frames.Add(frame.ToArray());
            return true;
        }
    }
}
