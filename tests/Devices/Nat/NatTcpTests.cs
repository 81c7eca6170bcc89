using System.Net;
using System.Net.Sockets;
using Dbt.Devices.Network.Nat;
using PacketDotNet;
using ProtocolType = PacketDotNet.ProtocolType;

namespace Dbt.Tests.Devices.Nat;

/// <summary>TCP of the user network: a guest's end made of frames on one side, real sockets of the host's loopback on the other.</summary>
public sealed class NatTcpTests
{
    private static byte[] Pattern(int length, int seed)
    {
        var data = new byte[length];
        new Random(seed).NextBytes(data);
        return data;
    }

    private static void Run(NatBench bench, GuestTcp tcp, Func<bool> done, string what) => bench.Run(
        () =>
        {
            tcp.Tick();
            return done();
        },
        what);

    [Fact]
    public void ConnectsExchangesAndEnds()
    {
        byte[]? got = null;
        using var server = new HostServer(async socket =>
        {
            got = await HostServer.ReadAll(socket);
            await HostServer.Write(socket, "answer"u8.ToArray());
        });
        using var bench = new NatBench();
        GuestTcp tcp = GuestTcp.Connect(bench, 40000, NatBench.Gateway, server.Port);
        Run(bench, tcp, () => tcp.IsEstablished, "connect");
        tcp.Write("question"u8.ToArray());
        tcp.Finish();
        Run(bench, tcp, () => tcp.HasEnded && tcp.IsDrained, "answer");
        Assert.Equal("question"u8.ToArray(), got);
        Assert.Equal("answer"u8.ToArray(), tcp.Received);
        bench.Settle();
        bench.Advance(4000);
        Assert.Equal(0, bench.Stack.Tcp.Count);
        Assert.Equal(0, bench.Stack.Pool.Used);
        Assert.Equal(0, bench.Stack.Timers.Count);
    }

    [Fact]
    public void ARefusedConnectionIsReset()
    {
        ushort port;
        using (var server = new HostServer(_ => Task.CompletedTask))
        {
            port = server.Port;
        }

        using var bench = new NatBench();
        GuestTcp tcp = GuestTcp.Connect(bench, 40000, NatBench.Gateway, port);
        bench.Run(() => tcp.IsReset, "refuse");
        Assert.Equal(0, bench.Stack.Tcp.Count);
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("0.0.0.0")]
    [InlineData("0.0.0.1")]
    [InlineData("10.0.2.77")]
    [InlineData("10.0.2.3")]
    [InlineData("240.0.0.1")]
    public void WhatIsNotOutsideCantBeReached(string address)
    {
        using var server = new HostServer(_ => Task.CompletedTask);
        using var bench = new NatBench();
        GuestTcp tcp = GuestTcp.Connect(bench, 40000, IPAddress.Parse(address), server.Port);
        bench.Run(() => tcp.IsReset, "refuse");
        Assert.Equal(0, server.Accepted);
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public void LoopbackAndEverythingCanBeForbidden(bool loopback, bool restrict)
    {
        using var server = new HostServer(_ => Task.CompletedTask);
        using var bench = new NatBench(configure: c => c with { Loopback = loopback, Restrict = restrict });
        GuestTcp tcp = GuestTcp.Connect(bench, 40000, NatBench.Gateway, server.Port);
        bench.Run(() => tcp.IsReset, "refuse");
        Assert.Equal(0, server.Accepted);
    }

    // Offloads on: large segments both ways, blank checksums. Off: all of it cut and summed. Loss: one frame in thirty-two is lost, one in sixteen
    // comes late, and one in eight to the guest is refused.
    [Theory]
    [InlineData(false, false, 16 << 20)]
    [InlineData(true, false, 16 << 20)]
    [InlineData(false, true, 2 << 20)]
    [InlineData(true, true, 16 << 20)]
    public void TransfersBothWays(bool offloads, bool loss, int length)
    {
        byte[] toHost = Pattern(length, 1), toGuest = Pattern(length, 2), got = [];
        using var server = new HostServer(async socket =>
        {
            Task<byte[]> read = HostServer.ReadAll(socket);
            await HostServer.Write(socket, toGuest);
            socket.Shutdown(SocketShutdown.Send);
            got = await read;
        });
        using var bench = new NatBench(offloads);
        if (loss)
        {
            var random = new Random(7);
            bench.Refuses = () => random.Next(8) == 0;
            bench.Fate = () => random.Next(32) switch
            {
                0 => 1,
                1 or 2 => 2,
                _ => 0,
            };
        }

        GuestTcp tcp = GuestTcp.Connect(bench, 40000, NatBench.Gateway, server.Port, large: offloads);
        tcp.Write(toHost);
        tcp.Finish();
        Run(bench, tcp, () => tcp.HasEnded && tcp.IsDrained && server.IsDone, "transfer");
        Assert.False(tcp.IsReset);
        Assert.True(toGuest.AsSpan().SequenceEqual(tcp.Received), "what came to the guest");
        Assert.True(toHost.AsSpan().SequenceEqual(got), "what came to the host");
        Assert.True(offloads == bench.LargestToGuest > 1514, $"largest frame: {bench.LargestToGuest}");
    }

    [Fact]
    public void TheGuestMayEndFirst()
    {
        byte[] data = Pattern(3 << 20, 3);
        using var server = new HostServer(async socket =>
        {
            await HostServer.ReadAll(socket);
            await HostServer.Write(socket, data);
        });
        using var bench = new NatBench();
        GuestTcp tcp = GuestTcp.Connect(bench, 40000, NatBench.Gateway, server.Port);
        tcp.Finish();
        Run(bench, tcp, () => tcp.HasEnded, "the answer to an end");
        Assert.True(data.AsSpan().SequenceEqual(tcp.Received));
    }

    [Fact]
    public void TheHostMayEndFirst()
    {
        byte[] data = Pattern(3 << 20, 4), got = [];
        using var server = new HostServer(async socket =>
        {
            socket.Shutdown(SocketShutdown.Send);
            got = await HostServer.ReadAll(socket);
        });
        using var bench = new NatBench();
        GuestTcp tcp = GuestTcp.Connect(bench, 40000, NatBench.Gateway, server.Port);
        Run(bench, tcp, () => tcp.HasEnded, "the host's end");
        tcp.Write(data);
        tcp.Finish();
        Run(bench, tcp, () => tcp.IsDrained && server.IsDone, "the guest's data behind it");
        Assert.True(data.AsSpan().SequenceEqual(got));

        // The guest repeats its end where our last word was lost.
        Assert.Equal(1, bench.Stack.Tcp.Count);
        bench.Advance(4000);
        Assert.Equal(0, bench.Stack.Tcp.Count);
    }

    [Fact]
    public void AResetOfTheHostReachesTheGuest()
    {
        using var server = new HostServer(socket =>
        {
            socket.LingerState = new LingerOption(true, 0);
            return Task.CompletedTask;
        });
        using var bench = new NatBench();
        GuestTcp tcp = GuestTcp.Connect(bench, 40000, NatBench.Gateway, server.Port);
        Run(bench, tcp, () => tcp.IsReset, "reset");
        Assert.Equal(0, bench.Stack.Tcp.Count);
    }

    [Fact]
    public void AResetOfTheGuestReachesTheHost()
    {
        SocketError? error = null;
        using var server = new HostServer(async socket =>
        {
            try
            {
                await HostServer.ReadAll(socket);
            }
            catch (SocketException exception)
            {
                error = exception.SocketErrorCode;
            }
        });
        using var bench = new NatBench();
        GuestTcp tcp = GuestTcp.Connect(bench, 40000, NatBench.Gateway, server.Port);
        Run(bench, tcp, () => tcp.IsEstablished, "connect");
        tcp.Reset();
        Run(bench, tcp, () => server.IsDone, "reset");
        Assert.Equal(SocketError.ConnectionReset, error);
        Assert.Equal(0, bench.Stack.Tcp.Count);
    }

    // A host that reads nothing: the guest is stopped by the window, and what is stored here stays within it.
    [Fact]
    public void AHostThatReadsNothingStopsTheGuest()
    {
        byte[] data = Pattern(24 << 20, 5);
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        byte[] got = [];
        using var server = new HostServer(async socket =>
        {
            await go.Task;
            got = await HostServer.ReadAll(socket);
        });
        using var bench = new NatBench();
        GuestTcp tcp = GuestTcp.Connect(bench, 40000, NatBench.Gateway, server.Port, large: true);
        tcp.Write(data);
        tcp.Finish();
        Run(bench, tcp, () => tcp.IsEstablished, "connect");
        bench.Settle();
        Assert.False(tcp.IsDrained);
        Assert.InRange(bench.Stack.Pool.Used, 1, 512 << 10);
        go.SetResult();
        Run(bench, tcp, () => tcp.IsDrained && server.IsDone, "the rest");
        Assert.True(data.AsSpan().SequenceEqual(got));
    }

    // A guest that reads nothing: the host's bytes stay in the host's socket, and the window is asked for now and then.
    [Fact]
    public void AGuestThatReadsNothingStopsTheHost()
    {
        byte[] data = Pattern(8 << 20, 6);
        using var server = new HostServer(socket => HostServer.Write(socket, data));
        using var bench = new NatBench();
        GuestTcp tcp = GuestTcp.Connect(bench, 40000, NatBench.Gateway, server.Port);
        Run(bench, tcp, () => tcp.IsEstablished, "connect");
        tcp.ReceiveWindow = 0;
        tcp.Announce();
        bench.Settle();
        long stopped = tcp.ReceivedLength;
        bench.Advance(120_000);
        bench.Settle();
        Assert.Equal(stopped, tcp.ReceivedLength);
        Assert.InRange(bench.Stack.Pool.Used, 0, 512 << 10);
        Assert.Equal(1, bench.Stack.Tcp.Count);

        // Nothing tells that there is room again but the answer to a probe.
        tcp.ReceiveWindow = 1 << 20;
        Run(bench, tcp, () => tcp.HasEnded, "the rest");
        Assert.True(data.AsSpan().SequenceEqual(tcp.Received));
    }

    [Fact]
    public void ManyShortConnections()
    {
        using var server = new HostServer(async socket =>
        {
            byte[] got = await HostServer.ReadAll(socket);
            await HostServer.Write(socket, got);
        });
        using var bench = new NatBench();
        for (ushort i = 0; i < 300; i++)
        {
            GuestTcp tcp = GuestTcp.Connect(bench, (ushort)(20000 + i), NatBench.Gateway, server.Port);
            tcp.Write([(byte)i, 1, 2, 3]);
            tcp.Finish();
            Run(bench, tcp, () => tcp.HasEnded, "a short connection");
            Assert.Equal([(byte)i, 1, 2, 3], tcp.Received);
        }

        bench.Advance(5000);
        Assert.Equal(0, bench.Stack.Tcp.Count);
        Assert.Equal(0, bench.Stack.Timers.Count);
    }

    [Fact]
    public void ConnectionsAreBounded()
    {
        using var server = new HostServer(socket => HostServer.ReadAll(socket));
        using var bench = new NatBench();
        for (int i = 0; i < TcpTable.Most + 100; i++)
        {
            bench.Transmit(NatBench.Gateway, new TcpPacket((ushort)(1000 + i), server.Port) { Synchronize = true, SequenceNumber = 1, WindowSize = 1000 }, ProtocolType.Tcp);
            if (i % 64 == 0)
            {
                bench.Settle();
            }
        }

        bench.Settle();
        Assert.Equal(TcpTable.Most, bench.Stack.Tcp.Count);
        Assert.InRange(bench.Others.Count(f => NatBench.V4(f)?.PayloadPacket is TcpPacket { Reset: true }), 100, 100);

        // Where the host is busy its own handshakes take a while, by its clock and not by the bench's.
        bench.Run(() => server.Accepted == TcpTable.Most, "the host's connections");

        // A guest that answers nothing is given up.
        bench.Advance(10 * 60_000);
        Assert.Equal(0, bench.Stack.Tcp.Count);
        Assert.Equal(0, bench.Stack.Poller.Count);
    }

    [Fact]
    public void AGuestThatVanishedIsFoundOut()
    {
        using var server = new HostServer(socket => HostServer.ReadAll(socket).ContinueWith(_ => { }, TaskScheduler.Default));
        using var bench = new NatBench();
        GuestTcp tcp = GuestTcp.Connect(bench, 40000, NatBench.Gateway, server.Port);
        Run(bench, tcp, () => tcp.IsEstablished, "connect");
        bench.Settle();

        // It answers probes for a day, and is kept.
        tcp.Announce();
        bench.Settle();
        bench.Advance(2 * 60 * 60_000);
        bench.Settle();
        Assert.Equal(1, bench.Stack.Tcp.Count);
        bench.Fate = () => 1;
        bench.Advance(4 * 60 * 60_000);
        Assert.Equal(0, bench.Stack.Tcp.Count);
        bench.Run(() => server.IsDone, "the host's end of it");
    }

    [Fact]
    public void ASegmentOfNoConnectionIsReset()
    {
        using var bench = new NatBench();
        bench.Transmit(NatBench.Gateway, new TcpPacket(1000, 2000) { Acknowledgment = true, AcknowledgmentNumber = 77, SequenceNumber = 5 }, ProtocolType.Tcp);
        bench.Settle();
        var reset = (TcpPacket)NatBench.V4(Assert.Single(bench.Others))!.PayloadPacket;
        Assert.True(reset.Reset);
        Assert.Equal(77u, reset.SequenceNumber);
    }
}
