using Dbt.Devices.Network;
using Dbt.Devices.Network.Switch;

namespace Dbt.Tests.Devices.Network;

/// <summary>A switch in this process: learning, flooding, slow ports, ports that go.</summary>
public sealed class VirtualSwitchTests
{
    private readonly VirtualSwitch _switch = new();
    private readonly FakeCable[] _guests = [new(), new(), new()];
    private readonly SwitchPort[] _ports;

    public VirtualSwitchTests()
    {
        _ports = [.. _guests.Select(guest =>
        {
            SwitchPort port = _switch.AddPort();
            port.Connect(guest);
            return port;
        })];
    }

    [Fact]
    public void AnUnknownAddressGoesToAllAKnownOneToItsPort()
    {
        Send(0, TestFrames.B, TestFrames.A);
        Assert.Equal((0, 1, 1), Counts());
        Send(1, TestFrames.A, TestFrames.B);
        Assert.Equal((1, 1, 1), Counts());
        Send(0, TestFrames.B, TestFrames.A);
        Assert.Equal((1, 2, 1), Counts());
        Send(0, MacAddress.Broadcast, TestFrames.A);
        Send(0, TestFrames.Mac("01:00:5e:00:00:01"), TestFrames.A);
        Assert.Equal((1, 4, 3), Counts());

        // To itself, to nobody; and what is no frame.
        Send(0, TestFrames.A, TestFrames.A);
        _ports[0].Send(new byte[13], default);
        Assert.Equal((1, 4, 3), Counts());
    }

    [Fact]
    public void AnAddressMoves()
    {
        Send(0, TestFrames.B, TestFrames.A);
        Send(2, TestFrames.B, TestFrames.A);
        Send(1, TestFrames.A, TestFrames.B);
        Assert.Equal((1, 2, 2), Counts());
        Assert.Equal(TestFrames.B, MacAddress.Read(_guests[2].Frames.Last().Frame.AsSpan(6)));
    }

    [Fact]
    public void ASlowPortStallsNobody()
    {
        _guests[1].Room = 0;
        for (int i = 0; i < 2000; i++)
        {
            Send(0, MacAddress.Broadcast, TestFrames.A, 60 + (i % 7));
        }

        Assert.Equal((0, 0, 2000), Counts());
        Assert.Equal(2000 - 512, _ports[1].Dropped);

        // What waited comes first and in its order.
        _guests[1].Room = 10;
        Assert.Equal(10, _guests[1].Frames.Count);
        _guests[1].Room = int.MaxValue;
        Send(0, MacAddress.Broadcast, TestFrames.A, 99);
        Assert.Equal([.. Enumerable.Range(0, 512).Select(i => 60 + (i % 7)), 99], _guests[1].Frames.Select(frame => frame.Frame.Length));
    }

    [Fact]
    public void WhatWaitsIsBoundedInBytes()
    {
        _guests[1].Room = 0;
        for (int i = 0; i < 100; i++)
        {
            Send(0, MacAddress.Broadcast, TestFrames.A, 65_000);
        }

        Assert.Equal(100 - ((4 << 20) / 65_000), _ports[1].Dropped);
    }

    [Fact]
    public void APortDoesWhatItsGuestDoesNotTake()
    {
        _guests[1].Features = default;
        byte[] frame = TestFrames.Transport(5000, blank: true);
        _guests[1].Room = 2;
        _ports[0].Send(frame, new FrameOffload(true, true, SegmentationKind.TcpV4, 1000));
        Assert.Equal((0, 2, 1), Counts());
        Assert.Equal(frame, _guests[2].Take().Frame);

        // The rest of the same frame, when there is room.
        _guests[1].Room = 100;
        Assert.Equal(5, _guests[1].Frames.Count);
        Assert.Equal(frame[66..], _guests[1].Frames.SelectMany(static segment => segment.Frame[66..]));
        Assert.All(_guests[1].Frames, segment => Assert.True(TestFrames.IsRight(segment.Frame)));
    }

    [Fact]
    public void APortThatGoesIsForgotten()
    {
        Send(1, MacAddress.Broadcast, TestFrames.B);
        Send(0, TestFrames.B, TestFrames.A);
        Assert.Equal((1, 1, 1), Counts());
        _ports[1].Dispose();
        Assert.Equal(2, _switch.Ports);
        Send(0, TestFrames.B, TestFrames.A);
        Assert.Equal((1, 1, 2), Counts());
        _guests[1].Room = 5; // nobody listens any more
    }

    [Fact]
    public void AddressesAgeAndAreBounded()
    {
        long now = 0;
        var table = new AddressTable<int>(() => now);
        for (int i = 0; i < 1024; i++)
        {
            table.Learn(new MacAddress((ulong)i), i % 3);
        }

        table.Learn(TestFrames.A, 1);
        Assert.False(table.TryFind(TestFrames.A, out _));
        Assert.True(table.TryFind(new MacAddress(5), out int port) && port == 2);
        table.Learn(MacAddress.Broadcast, 1);
        Assert.False(table.TryFind(MacAddress.Broadcast, out _));
        now = 299_999;
        table.Learn(new MacAddress(7), 0); // seen again, and moved
        now = 300_000;
        Assert.False(table.TryFind(new MacAddress(5), out _));
        table.Learn(TestFrames.A, 1);
        Assert.True(table.TryFind(TestFrames.A, out _));
        Assert.True(table.TryFind(new MacAddress(7), out port) && port == 0);
        table.Forget(1);
        Assert.False(table.TryFind(TestFrames.A, out _));
        Assert.True(table.TryFind(new MacAddress(7), out _));
    }

    private void Send(int port, MacAddress to, MacAddress from, int length = 60) => Assert.True(_ports[port].Send(TestFrames.Plain(to, from, length), default));

    private (int, int, int) Counts() => (_guests[0].Frames.Count, _guests[1].Frames.Count, _guests[2].Frames.Count);
}
