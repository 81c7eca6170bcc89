using Dbt.Devices.Network;

namespace Dbt.Tests.Devices.Network;

/// <summary>Frames from the guest: pieces put together, offloads, back pressure, limits.</summary>
public sealed class VifTransmitTests : IDisposable
{
    private readonly NetDriver _driver = new();

    public void Dispose() => _driver.Dispose();

    [Fact]
    public void AFrameOfOnePage()
    {
        NetDriver.Queue queue = Connect();
        byte[] frame = TestFrames.Plain(TestFrames.B, TestFrames.A, 1514);
        uint reference = _driver.Grant(frame, 2000).Reference;
        queue.Put(reference, 2000, 0, 7, 1514);
        _driver.Kick(queue);
        Assert.Equal([(7, 0)], queue.Wait(1).Select(Both));
        (byte[] got, FrameOffload offload) = _driver.Cable.Take();
        Assert.Equal(frame, got);
        Assert.Equal(default, offload);
        Assert.Equal(1, _driver.Backend.Status.Traffic.TransmittedFrames);
        Assert.Equal(1514, _driver.Backend.Status.Traffic.TransmittedBytes);
    }

    [Theory]
    [InlineData(1, 0, 14, 20, 10)]
    [InlineData(4095, 4095, 1, 30)]
    [InlineData(0, 100, 4096, 4096)]
    public void AFrameOfSeveralPieces(params int[] pieces)
    {
        NetDriver.Queue queue = Connect();
        byte[] frame = TestFrames.Plain(TestFrames.B, TestFrames.A, pieces.Sum());
        int position = 0;
        for (int i = 0; i < pieces.Length; i++)
        {
            int offset = 4096 - pieces[i];
            uint reference = _driver.Grant(frame.AsSpan(position, pieces[i]), offset).Reference;
            queue.Put(reference, (ushort)offset, i == pieces.Length - 1 ? (ushort)0 : NetDriver.More, (ushort)(i + 1), (ushort)(i == 0 ? frame.Length : pieces[i]));
            position += pieces[i];
        }

        _driver.Kick(queue);
        Assert.Equal(Enumerable.Range(1, pieces.Length).Select(id => (id, 0)), queue.Wait(pieces.Length).Select(Both));
        Assert.Equal(frame, _driver.Cable.Take().Frame);
    }

    [Theory]
    [InlineData(false, SegmentationKind.TcpV4)]
    [InlineData(true, SegmentationKind.TcpV6)]
    public void ALargeFrameGoesWhole(bool v6, SegmentationKind kind)
    {
        NetDriver.Queue queue = Connect();
        byte[] frame = TestFrames.Transport(65_400, v6, blank: true);
        int slots = _driver.PutFrame(queue, frame, NetDriver.Blank | NetDriver.Validated, (kind, 1448));
        _driver.Kick(queue);

        // The slot of the extra info is answered by one that says nothing.
        (ushort Id, short Status)[] responses = queue.Wait(slots);
        Assert.Equal((1000, 0), Both(responses[0]));
        Assert.Equal(1, responses[1].Status);
        Assert.All(responses[2..], response => Assert.Equal(0, response.Status));
        (byte[] got, FrameOffload offload) = _driver.Cable.Take();
        Assert.Equal(frame, got);
        Assert.Equal(new FrameOffload(true, true, kind, 1448), offload);
    }

    [Fact]
    public void ALargeFrameIsCutForWhoDoesNotTakeIt()
    {
        _driver.Cable.Features = default;
        NetDriver.Queue queue = Connect();
        byte[] frame = TestFrames.Transport(10_000, blank: true);
        _driver.Cable.Room = 3;
        int slots = _driver.PutFrame(queue, frame, NetDriver.Blank, (SegmentationKind.TcpV4, 1448));
        _driver.Kick(queue);
        for (int i = 0; i < 3; i++)
        {
            _driver.Cable.Take();
        }

        // It goes on where it was refused.
        _driver.Cable.Room = 100;
        queue.Wait(slots);
        var rest = new List<byte>();
        for (int i = 3; i < 7; i++)
        {
            (byte[] segment, FrameOffload offload) = _driver.Cable.Take();
            Assert.True(TestFrames.IsRight(segment));
            Assert.False(offload.ChecksumBlank);
            rest.AddRange(segment[66..]);
        }

        Assert.Equal(frame[(66 + (3 * 1448))..], rest);
        Assert.Empty(_driver.Cable.Frames);
    }

    [Fact]
    public void ALargeFrameWithoutTheBlankFlagGetsItsPseudoHeadersSum()
    {
        NetDriver.Queue queue = Connect();
        byte[] frame = TestFrames.Transport(5000);
        queue.Wait(0);
        int slots = _driver.PutFrame(queue, frame, 0, (SegmentationKind.TcpV4, 1000));
        _driver.Kick(queue);
        queue.Wait(slots);
        (byte[] got, FrameOffload offload) = _driver.Cable.Take();
        Assert.Equal(TestFrames.Transport(5000, blank: true), got);
        Assert.True(offload.ChecksumBlank);
    }

    [Fact]
    public void WhereThereIsNoRoomTheRingWaits()
    {
        NetDriver.Queue queue = Connect();
        _driver.Cable.Room = 2;
        for (ushort i = 0; i < 5; i++)
        {
            uint reference = _driver.Grant(TestFrames.Plain(TestFrames.B, TestFrames.A, 60 + i)).Reference;
            queue.Put(reference, 0, 0, i, (ushort)(60 + i));
        }

        _driver.Kick(queue);
        Assert.Equal([(0, 0), (1, 0)], queue.Wait(2).Select(Both));
        _driver.Cable.Room = 1;
        Assert.Equal([(2, 0)], queue.Wait(1).Select(Both));
        _driver.Cable.Room = 2;
        Assert.Equal([(3, 0), (4, 0)], queue.Wait(2).Select(Both));
        Assert.Equal([60, 61, 62, 63, 64], _driver.Cable.Frames.Select(frame => frame.Frame.Length));
    }

    [Fact]
    public void AFrameThatWaitsDoesNotKeepTheGuestFromClosing()
    {
        NetDriver.Queue queue = Connect();
        _driver.Cable.Room = 0;
        queue.Put(_driver.Grant(TestFrames.Plain(TestFrames.B, TestFrames.A)).Reference, 0, 0, 9, 60);
        _driver.Kick(queue);
        NetDriver.Queue.Until(() => queue.Transmit[4] != 0, "");
        _driver.Guest.Write(NetDriver.Front + "/state", "5");
        Assert.Equal("5", _driver.State);
        _driver.Guest.Write(NetDriver.Front + "/state", "1");
        _driver.Cable.Room = 10;
        queue = Connect();
        _driver.PutFrame(queue, TestFrames.Plain(TestFrames.B, TestFrames.A, 99));
        _driver.Kick(queue);
        queue.Wait(1);
        Assert.Equal(99, _driver.Cable.Frames.Last().Frame.Length);
    }

    [Fact]
    public void NothingIsToldThatWasNotAskedFor()
    {
        NetDriver.Queue queue = Connect();
        queue.Transmit[12] = 4; // tell with the fourth response
        for (ushort i = 0; i < 3; i++)
        {
            queue.Put(_driver.Grant(TestFrames.Plain(TestFrames.B, TestFrames.A)).Reference, 0, 0, i, 60);
        }

        _driver.Kick(queue);
        NetDriver.Queue.Until(() => queue.Transmit[8] == 3, "no response");
        Assert.Equal(0, _driver.Frontend.Events.CurrentCount);
        queue.Put(_driver.Grant(TestFrames.Plain(TestFrames.B, TestFrames.A)).Reference, 0, 0, 3, 60);
        _driver.Kick(queue);
        Assert.True(_driver.Frontend.Events.Wait(TimeSpan.FromSeconds(30)));
        Assert.Equal(0, _driver.Frontend.Events.CurrentCount);

        // And asks to be told of the next request when it has seen all.
        NetDriver.Queue.Until(() => queue.Transmit[4] == 5, "no event was asked for");
    }

    [Fact]
    public void EachQueueIsServed()
    {
        _driver.Connect(queues: 4, split: true);
        for (int i = 0; i < 4; i++)
        {
            _driver.PutFrame(_driver.Queues[i], TestFrames.Plain(TestFrames.B, TestFrames.A, 60 + i));
            _driver.Kick(_driver.Queues[i]);
        }

        foreach (NetDriver.Queue queue in _driver.Queues)
        {
            queue.Wait(1);
        }

        Assert.Equal([60, 61, 62, 63], _driver.Cable.Frames.Select(frame => frame.Frame.Length).Order());
    }

    [Fact]
    public void TheRingGoesRound()
    {
        NetDriver.Queue queue = Connect();
        uint reference = _driver.Grant(TestFrames.Plain(TestFrames.B, TestFrames.A)).Reference;
        for (int round = 0; round < 5; round++)
        {
            for (int i = 0; i < NetDriver.Size; i++)
            {
                queue.Put(reference, 0, 0, (ushort)i, 60);
            }

            _driver.Kick(queue);
            Assert.Equal(Enumerable.Range(0, NetDriver.Size).Select(id => (id, 0)), queue.Wait(NetDriver.Size).Select(Both));
        }
    }

    [Fact]
    public void TheMulticastFilterIsTheGuests()
    {
        NetDriver.Queue queue = Connect();
        _driver.Guest.Write(NetDriver.Front + "/request-multicast-control", "1");
        MacAddress group = TestFrames.Mac("01:00:5e:00:00:fb"), other = TestFrames.Mac("33:33:00:00:00:01");
        queue.Put(0, 0, NetDriver.Extra, 1, 0);
        queue.PutExtra(2, 0, address: group);
        queue.Put(0, 0, NetDriver.Extra, 2, 0);
        queue.PutExtra(2, 0, address: TestFrames.B); // no group
        queue.Put(0, 0, NetDriver.Extra, 3, 0);
        queue.PutExtra(3, 0, address: other); // never added
        _driver.Kick(queue);
        Assert.Equal([(1, 0), (0, 1), (2, -1), (0, 1), (3, 0), (0, 1)], queue.Wait(6).Select(Both));
        Assert.Empty(_driver.Cable.Frames);
        _driver.Post(queue, 10);
        foreach ((MacAddress to, int received) in (ReadOnlySpan<(MacAddress, int)>)[(group, 1), (other, 1), (MacAddress.Broadcast, 2), (TestFrames.A, 3)])
        {
            Assert.True(_driver.Backend.Send(TestFrames.Plain(to, TestFrames.B), default));
            Assert.Equal(received, queue.Received);
        }

        _driver.Guest.Write(NetDriver.Front + "/request-multicast-control", "0");
        _driver.Backend.Send(TestFrames.Plain(other, TestFrames.B), default);
        Assert.Equal(4, queue.Received);
    }

    [Fact]
    public void TheMulticastFilterIsBounded()
    {
        NetDriver.Queue queue = Connect();
        for (int i = 0; i < 65; i++)
        {
            queue.Put(0, 0, NetDriver.Extra, (ushort)i, 0);
            queue.PutExtra(2, 0, address: new MacAddress(0x0100_5E00_0000 + (ulong)i));
        }

        _driver.Kick(queue);
        (ushort, short Status)[] responses = queue.Wait(130);
        Assert.All(responses[..128].Where((_, index) => index % 2 == 0), response => Assert.Equal(0, response.Status));
        Assert.Equal(-1, responses[128].Status);
    }

    [Fact]
    public void TheRateHolds()
    {
        // An interval as long as the test is allowed: what is above the allowance stays on the ring.
        using var driver = new NetDriver(new NetworkRate(200, TimeSpan.FromHours(1)));
        driver.Connect();
        NetDriver.Queue queue = driver.Queues[0];
        for (int i = 0; i < 4; i++)
        {
            driver.PutFrame(queue, TestFrames.Plain(TestFrames.B, TestFrames.A, 100));
        }

        driver.Kick(queue);
        queue.Wait(2);
        driver.Guest.Write(NetDriver.Front + "/state", "5");
        Assert.Equal(2, driver.Cable.Frames.Count);
    }

    private static (int Id, int Status) Both((ushort Id, short Status) response) => (response.Id, response.Status);

    private NetDriver.Queue Connect()
    {
        _driver.Connect();
        return _driver.Queues[0];
    }
}
