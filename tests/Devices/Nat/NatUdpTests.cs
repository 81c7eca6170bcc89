using System.Net;
using System.Net.Sockets;
using Dbt.Devices.Network.Nat;
using PacketDotNet;
using ProtocolType = PacketDotNet.ProtocolType;

namespace Dbt.Tests.Devices.Nat;

/// <summary>Datagrams, names, echoes and fragments of the user network.</summary>
public sealed class NatUdpTests : IDisposable
{
    private readonly Socket _host = new(AddressFamily.InterNetwork, SocketType.Dgram, System.Net.Sockets.ProtocolType.Udp);

    public NatUdpTests() => _host.Bind(new IPEndPoint(IPAddress.Loopback, 0));

    public void Dispose() => _host.Dispose();

    private ushort HostPort => (ushort)((IPEndPoint)_host.LocalEndPoint!).Port;

    private (byte[] Data, EndPoint From) HostReceive(NatBench bench)
    {
        bench.Run(() => _host.Poll(0, SelectMode.SelectRead), "a datagram for the host");
        var buffer = new byte[65536];
        EndPoint from = new IPEndPoint(IPAddress.Any, 0);
        int length = _host.ReceiveFrom(buffer, ref from);
        return (buffer[..length], from);
    }

    private static T Next<T>(NatBench bench, string what)
        where T : Packet
    {
        bench.Run(() => bench.Others.Count > 0, what);
        EthernetPacket frame = bench.Others[0];
        bench.Others.RemoveAt(0);
        return Assert.IsType<T>(NatBench.V4(frame)!.PayloadPacket);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(1472)]
    public void AnEcho(int length)
    {
        using var bench = new NatBench();
        byte[] data = [.. Enumerable.Range(0, length).Select(i => (byte)i)];
        bench.TransmitUdp(5000, NatBench.Gateway, HostPort, data);
        (byte[] got, EndPoint from) = HostReceive(bench);
        Assert.Equal(data, got);
        _host.SendTo(got, from);
        UdpPacket answer = Next<UdpPacket>(bench, "the answer");
        Assert.Equal((HostPort, (ushort)5000), (answer.SourcePort, answer.DestinationPort));
        Assert.Equal(data, answer.PayloadData ?? []);
        Assert.Equal(1, bench.Stack.Udp.Count);
        bench.Advance(119_000);
        Assert.Equal(1, bench.Stack.Udp.Count);
        bench.Advance(2000);
        Assert.Equal((0, 0, 0), (bench.Stack.Udp.Count, bench.Stack.Poller.Count, bench.Stack.Timers.Count));
    }

    // What is larger than the link comes and goes in fragments, in any order.
    [Fact]
    public void LargeDatagrams()
    {
        using var bench = new NatBench();
        var data = new byte[9000];
        new Random(1).NextBytes(data);
        var udp = new UdpPacket(5000, HostPort) { PayloadData = data };
        var whole = new IPv4Packet(NatBench.Guest, NatBench.Gateway) { PayloadPacket = udp, Protocol = ProtocolType.Udp };
        udp.UpdateUdpChecksum();
        byte[] bytes = udp.Bytes;
        int[] order = [3, 0, 6, 5, 1, 4, 2];
        foreach (int i in order)
        {
            Fragment(bench, bytes, i * 1480, Math.Min(bytes.Length, (i + 1) * 1480));
        }

        (byte[] got, EndPoint from) = HostReceive(bench);
        Assert.Equal(data, got);
        Assert.Equal(0, bench.Stack.Incomplete);
        _host.SendTo(got, from);
        bench.Run(() => bench.Others.Count >= 7, "seven fragments");
        var back = new byte[bytes.Length];
        foreach (EthernetPacket frame in bench.Others)
        {
            IPv4Packet ip = NatBench.V4(frame)!;
            byte[] payload = ip.PayloadPacket?.Bytes ?? ip.PayloadData;
            Assert.Equal(ip.FragmentOffset * 8 + payload.Length < bytes.Length, (ip.FragmentFlags & 1) != 0);
            payload.CopyTo(back, ip.FragmentOffset * 8);
        }

        Assert.Equal(data, back[8..]);
        Assert.Equal(7, bench.Others.Count);
    }

    [Fact]
    public void IncompletePacketsAreBounded()
    {
        using var bench = new NatBench();
        for (int i = 0; i < 200; i++)
        {
            Fragment(bench, new byte[3000], 0, 1480, identification: (ushort)i);
        }

        bench.Settle();
        Assert.Equal(FragmentTable.Most, bench.Stack.Incomplete);
        bench.Advance(31_000);
        Assert.Equal((0, 0), (bench.Stack.Incomplete, bench.Stack.Timers.Count));

        // Overlapping ones are thrown away together.
        Fragment(bench, new byte[3000], 0, 1480);
        Fragment(bench, new byte[3000], 1472, 2952);
        bench.Settle();
        Assert.Equal(0, bench.Stack.Incomplete);
    }

    [Fact]
    public void NobodyThere()
    {
        ushort port = HostPort;
        _host.Dispose();
        using var bench = new NatBench();
        bench.TransmitUdp(5000, NatBench.Gateway, port, [1, 2, 3]);
        bench.TransmitUdp(5000, NatBench.Gateway, port, [1, 2, 3]);
        IcmpV4Packet error = Next<IcmpV4Packet>(bench, "port unreachable");
        Assert.Equal(IcmpV4TypeCode.UnreachablePort, error.TypeCode);
        byte[] quoted = error.PayloadData ?? error.Data;
        Assert.Equal([0x45, 0], quoted[..2]);
        Assert.Equal([5000 >> 8, 5000 & 255, port >> 8, (byte)port], quoted[20..24].Select(b => (int)b));
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("0.0.0.0")]
    [InlineData("10.0.2.44")]
    [InlineData("10.0.2.3")]
    public void WhatIsNotOutsideCantBeReached(string address)
    {
        using var bench = new NatBench();
        bench.TransmitUdp(5000, IPAddress.Parse(address), HostPort, [1]);
        Assert.Equal(IcmpV4TypeCode.UnreachableCommunicationProhibited, Next<IcmpV4Packet>(bench, "prohibited").TypeCode);
        Assert.False(_host.Poll(0, SelectMode.SelectRead));
    }

    [Fact]
    public void ConversationsAreBoundedAndTheOldestGoes()
    {
        using var bench = new NatBench();
        for (int i = 0; i < UdpTable.Most + 50; i++)
        {
            bench.Advance(1);
            bench.TransmitUdp((ushort)(1000 + i), NatBench.Gateway, HostPort, [1]);
            bench.Settle();
            Assert.True(_host.Poll(0, SelectMode.SelectRead));
            _host.Receive(new byte[10]);
        }

        Assert.Equal(UdpTable.Most, bench.Stack.Udp.Count);
        Assert.Equal(UdpTable.Most, bench.Stack.Poller.Count);
    }

    [Fact]
    public void NamesAreAskedOfTheHostsServers()
    {
        // Port 53 is root's, so the forwarding is seen by what the table makes of the address.
        string file = Path.GetTempFileName();
        File.WriteAllText(file, "# comment\nsearch example.org\nnameserver 192.0.2.1\nnameserver  2001:db8::1\nnameserver nonsense\n");
        using (var bench = new NatBench(configure: c => c with { ResolverFile = file }))
        {
            IPEndPoint? first = bench.Stack.HostTarget(NatAddresses.NameServer, 53);
            Assert.Equal(new IPEndPoint(IPAddress.Parse("192.0.2.1"), 53), first);
            bench.Stack.NameServerFailed(first!);
            IPEndPoint? second = bench.Stack.HostTarget(NatAddresses.NameServer, 53);
            Assert.Equal(new IPEndPoint(IPAddress.Parse("2001:db8::1"), 53), second);
            bench.Stack.NameServerFailed(first!); // late, and no longer the one that is asked
            Assert.Equal(second, bench.Stack.HostTarget(NatAddresses.NameServer, 53));
            bench.Stack.NameServerFailed(second!);
            Assert.Equal(first, bench.Stack.HostTarget(NatAddresses.NameServer, 53));
            Assert.Null(bench.Stack.HostTarget(NatAddresses.NameServer, 54));
        }

        File.Delete(file);
        using var none = new NatBench(configure: c => c with { ResolverFile = file });
        Assert.Equal(new IPEndPoint(IPAddress.Loopback, 53), none.Stack.HostTarget(NatAddresses.NameServer, 53));
    }

    [RootPortFact]
    public void ANameIsResolved()
    {
        using var server = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, System.Net.Sockets.ProtocolType.Udp);
        server.Bind(new IPEndPoint(IPAddress.Parse(RootPortFactAttribute.Address), 53));
        string file = Path.GetTempFileName();
        File.WriteAllText(file, $"nameserver {RootPortFactAttribute.Address}\n");
        using var bench = new NatBench(configure: c => c with { ResolverFile = file });
        bench.TransmitUdp(5000, NatBench.NameServer, 53, [1, 2, 3, 4]);
        bench.Run(() => server.Poll(0, SelectMode.SelectRead), "the question");
        EndPoint from = new IPEndPoint(IPAddress.Any, 0);
        var question = new byte[100];
        Assert.Equal(4, server.ReceiveFrom(question, ref from));
        server.SendTo([9, 8, 7], from);
        bench.Run(() => bench.Others.Count > 0, "the answer");
        IPv4Packet answer = NatBench.V4(bench.Others[0])!;
        Assert.Equal(NatBench.NameServer, answer.SourceAddress);
        Assert.Equal([9, 8, 7], ((UdpPacket)answer.PayloadPacket).PayloadData);
        File.Delete(file);
    }

    [Theory]
    [InlineData("10.0.2.2", 56)]
    [InlineData("10.0.2.3", 0)]
    [InlineData("10.0.2.2", 4000)]
    public void OurAddressesAnswerEchoes(string address, int length)
    {
        using var bench = new NatBench();
        var data = new byte[length];
        new Random(2).NextBytes(data);
        Ping(bench, IPAddress.Parse(address), data);
        if (length + 28 > 1500)
        {
            bench.Run(() => bench.Others.Count == 3, "three fragments");
            Assert.Equal(length + 8, bench.Others.Sum(f => NatBench.V4(f)!.PayloadLength));
            return;
        }

        IcmpV4Packet answer = Next<IcmpV4Packet>(bench, "the answer");
        Assert.Equal((IcmpV4TypeCode.EchoReply, (ushort)0x1234, (ushort)7), (answer.TypeCode, answer.Id, answer.Sequence));
        Assert.Equal(data, answer.Data ?? []);
    }

    [Fact]
    public void OthersAreAskedOrRefused()
    {
        using var bench = new NatBench();
        Ping(bench, IPAddress.Parse("127.0.0.1"), [1]);
        Assert.Equal(IcmpV4TypeCode.UnreachableCommunicationProhibited, Next<IcmpV4Packet>(bench, "prohibited").TypeCode);

        // By the host's own address outside loopback, where it allows such sockets.
        IPAddress? own = Dns.GetHostAddresses(Dns.GetHostName()).FirstOrDefault(a => a.AddressFamily == AddressFamily.InterNetwork && !IPAddress.IsLoopback(a));
        using Socket? allowed = HostSocket.Create(AddressFamily.InterNetwork, SocketType.Dgram, System.Net.Sockets.ProtocolType.Icmp);
        if (own is not null)
        {
            Ping(bench, own, [1, 2, 3]);
            IcmpV4Packet answer = Next<IcmpV4Packet>(bench, "an answer");
            Assert.Equal(allowed is null ? IcmpV4TypeCode.UnreachableCommunicationProhibited : IcmpV4TypeCode.EchoReply, answer.TypeCode);
            Assert.Equal(allowed is null ? 0 : 1, bench.Stack.Icmp.Count);
        }
    }

    private static void Ping(NatBench bench, IPAddress to, byte[] data)
    {
        var bytes = new byte[8 + data.Length];
        data.CopyTo(bytes, 8);
        var icmp = new IcmpV4Packet(new PacketDotNet.Utils.ByteArraySegment(bytes)) { TypeCode = IcmpV4TypeCode.EchoRequest, Id = 0x1234, Sequence = 7 };
        icmp.UpdateIcmpChecksum();
        bench.Transmit(to, icmp, ProtocolType.Icmp);
    }

    private static void Fragment(NatBench bench, byte[] datagram, int start, int end, ushort identification = 77)
    {
        var ip = new IPv4Packet(NatBench.Guest, NatBench.Gateway)
        {
            PayloadData = datagram[start..end],
            Protocol = ProtocolType.Udp,
            Id = identification,
            FragmentOffset = start / 8,
            FragmentFlags = (ushort)(end < datagram.Length ? 1 : 0),
        };
        _ = ip.Bytes; // makes the length, which is summed too
        ip.UpdateIPChecksum();
        bench.Transmit(new EthernetPacket(NatBench.GuestMac, NatBench.GatewayMac, EthernetType.IPv4) { PayloadPacket = ip }.Bytes);
    }
}
