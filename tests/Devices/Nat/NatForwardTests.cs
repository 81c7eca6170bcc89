using System.Net;
using System.Net.Sockets;
using Dbt.Devices.Network.Nat;
using Dbt.Runtime;
using PacketDotNet;

namespace Dbt.Tests.Devices.Nat;

/// <summary>Ports of the host that lead into the guest.</summary>
public sealed class NatForwardTests
{
    private static NatBench Bench(ForwardProtocol protocol, int guestPort) => new(
        configure: c => c with { Forwards = [new PortForward(protocol, IPAddress.Loopback, 0, guestPort)], Restrict = true });

    [Fact]
    public async Task AConnection()
    {
        using NatBench bench = Bench(ForwardProtocol.Tcp, 80);
        Func<GuestTcp?> accept = GuestTcp.Accept(bench, 80);
        using var client = new TcpClient();
        Task connect = client.ConnectAsync(bench.Stack.ForwardPorts[0]);
        bench.Run(() => accept() is { IsEstablished: true } && connect.IsCompleted, "connect");
        GuestTcp guest = accept()!;
        Assert.Equal(NatBench.Gateway, guest.Remote);

        var data = new byte[1 << 20];
        new Random(1).NextBytes(data);
        Task<byte[]> read = HostServer.ReadAll(client.Client);
        Task write = HostServer.Write(client.Client, data);
        guest.Write(data);
        bench.Run(() => guest.ReceivedLength == data.Length && write.IsCompleted, "the guest's part");
        guest.Finish();
        bench.Run(() => read.IsCompleted, "the host's part");
        byte[] got = await read;
        Assert.True(data.AsSpan().SequenceEqual(guest.Received));
        Assert.True(data.AsSpan().SequenceEqual(got));
        client.Client.Shutdown(SocketShutdown.Send);
        bench.Run(() => guest.HasEnded, "the end");
    }

    [Fact]
    public void AGuestThatRefuses()
    {
        using NatBench bench = Bench(ForwardProtocol.Tcp, 80);
        bench.Listen(f => NatBench.V4(f)?.PayloadPacket is TcpPacket { Synchronize: true }, f =>
        {
            var syn = (TcpPacket)NatBench.V4(f)!.PayloadPacket;
            bench.Transmit(
                NatBench.Gateway,
                new TcpPacket(80, syn.SourcePort) { Reset = true, Acknowledgment = true, AcknowledgmentNumber = syn.SequenceNumber + 1 },
                PacketDotNet.ProtocolType.Tcp);
        });
        using var client = new TcpClient();
        client.Connect(bench.Stack.ForwardPorts[0]);
        Task<byte[]> read = HostServer.ReadAll(client.Client);
        bench.Run(() => read.IsCompleted, "refusal");
        Assert.Equal(SocketError.ConnectionReset, Assert.IsType<SocketException>(read.Exception!.InnerException).SocketErrorCode);
        Assert.Equal(0, bench.Stack.Tcp.Count);
    }

    // A guest that still boots is asked again for a while.
    [Fact]
    public void AGuestThatIsNotThere()
    {
        using NatBench bench = Bench(ForwardProtocol.Tcp, 80);
        bench.Fate = () => 1;
        using var client = new TcpClient();
        client.Connect(bench.Stack.ForwardPorts[0]);
        bench.Run(() => bench.Stack.Tcp.Count == 1, "accept");
        bench.Advance(30_000);
        Assert.Equal(1, bench.Stack.Tcp.Count);
        bench.Advance(90_000);
        Assert.Equal(0, bench.Stack.Tcp.Count);
        Assert.Throws<SocketException>(() => client.Client.Receive(new byte[1]));
    }

    [Fact]
    public void Datagrams()
    {
        using NatBench bench = Bench(ForwardProtocol.Udp, 53);
        bench.Listen(f => NatBench.V4(f)?.PayloadPacket is UdpPacket { DestinationPort: 53 }, f =>
        {
            var udp = (UdpPacket)NatBench.V4(f)!.PayloadPacket;
            Assert.Equal(NatBench.Gateway, NatBench.V4(f)!.SourceAddress);
            bench.TransmitUdp(53, NatBench.Gateway, udp.SourcePort, [.. udp.PayloadData, 0xFF]);
        });
        Socket[] clients = [.. Enumerable.Range(0, 3).Select(_ => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, System.Net.Sockets.ProtocolType.Udp))];
        for (byte i = 0; i < clients.Length; i++)
        {
            clients[i].Connect(bench.Stack.ForwardPorts[0]);
            clients[i].Send([i]);
        }

        for (byte i = 0; i < clients.Length; i++)
        {
            bench.Run(() => clients[i].Poll(0, SelectMode.SelectRead), "an answer");
            var answer = new byte[10];
            Assert.Equal(2, clients[i].Receive(answer));
            Assert.Equal([i, 0xFF], answer[..2]);
            clients[i].Dispose();
        }

        Assert.Equal(3, bench.Stack.Udp.Count);
        bench.Advance(130_000);
        Assert.Equal(0, bench.Stack.Udp.Count);
    }

    [Fact]
    public void APortThatIsTakenIsNamed()
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        int port = ((IPEndPoint)other.LocalEndpoint).Port;
        HostException exception = Assert.Throws<HostException>(() => new NatBench(
            configure: c => c with { Forwards = [new PortForward(ForwardProtocol.Tcp, IPAddress.Loopback, 0, 1), new PortForward(ForwardProtocol.Tcp, IPAddress.Loopback, port, 80)] }));
        Assert.Equal($"forward tcp:127.0.0.1:{port}:80 can't listen at 127.0.0.1:{port}: another program has this port; name another one", exception.Message);
    }
}
