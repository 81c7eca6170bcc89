using System.Buffers.Binary;
using Dbt.Devices.Network;

namespace Dbt.Tests.Devices.Network;

/// <summary>Frames to the guest: over pages, with offloads, without room.</summary>
public sealed class VifReceiveTests : IDisposable
{
    private readonly NetDriver _driver = new();

    public void Dispose() => _driver.Dispose();

    [Fact]
    public void AFrameGoesIntoAPage()
    {
        NetDriver.Queue queue = Connect();
        FakePage[] pages = _driver.Post(queue, 2);
        byte[] frame = TestFrames.Plain(TestFrames.A, TestFrames.B, 1514);
        Assert.True(_driver.Backend.Send(frame, new FrameOffload(DataValidated: true)));
        Assert.Equal(1, queue.Received);
        Assert.Equal((0, 0, 1, 1514), Read(queue.Take()));
        Assert.Equal(frame, pages[0].Bytes[..1514]);
        Assert.Equal([(0, 1514)], pages[0].Written);
        Assert.Empty(pages[1].Written);
        Assert.Equal(1514, _driver.Backend.Status.Traffic.ReceivedBytes);
        Assert.True(_driver.Frontend.Events.Wait(0));
    }

    [Fact]
    public void ALargeFrameGoesOverPagesWithItsSegmentSize()
    {
        NetDriver.Queue queue = Connect();
        FakePage[] pages = _driver.Post(queue, 20);
        byte[] frame = TestFrames.Transport(20_000, blank: true);
        Assert.True(_driver.Backend.Send(frame, new FrameOffload(true, true, SegmentationKind.TcpV4, 1448)));
        Assert.Equal(6, queue.Received);
        Assert.Equal((0, 0, 1 | 2 | 4 | 8, 4096), Read(queue.Take()));

        // The extra info is in the second slot, whose page stays the guest's.
        Assert.Equal([1, 0, 1448 & 255, 1448 >> 8, 1, 0, 0, 0], queue.Take());
        for (int i = 2; i < 6; i++)
        {
            Assert.Equal((i, 0, i < 5 ? 4 : 0, i < 5 ? 4096 : frame.Length - 16_384), Read(queue.Take()));
        }

        byte[] got = [.. pages[0].Bytes, .. pages[2].Bytes, .. pages[3].Bytes, .. pages[4].Bytes, .. pages[5].Bytes];
        Assert.Equal(frame, got[..frame.Length]);
        Assert.Empty(pages[1].Written);
        Assert.True(queue.Received == 0 && _driver.Frontend.Events.CurrentCount == 1);
    }

    [Fact]
    public void TheLargestFrameFits()
    {
        NetDriver.Queue queue = Connect();
        _driver.Post(queue, 18);
        Assert.True(_driver.Backend.Send(TestFrames.Transport(65_549 - 86, v6: true, blank: true), new FrameOffload(true, true, SegmentationKind.TcpV6, 1428)));
        Assert.Equal(18, queue.Received);
    }

    [Fact]
    public void WithoutRoomItIsRefusedUntilThereIs()
    {
        NetDriver.Queue queue = Connect();
        using var room = new SemaphoreSlim(0);
        _driver.Backend.RoomAvailable += () => room.Release();
        byte[] frame = TestFrames.Plain(TestFrames.A, TestFrames.B, 9000);
        _driver.Post(queue, 2);
        Assert.False(_driver.Backend.Send(frame, default));
        Assert.Equal(0, queue.Received);

        // It asked to be told of the next page; one isn't enough of them if two are.
        Assert.Equal(3u, queue.Receive[4]);
        _driver.Post(queue, 1);
        _driver.KickReceive(queue);
        Assert.True(room.Wait(TimeSpan.FromSeconds(30)));
        Assert.True(_driver.Backend.Send(frame, default));
        Assert.Equal(3, queue.Received);
        Assert.Equal(0, _driver.Backend.Status.Traffic.ReceiveDrops);
    }

    [Fact]
    public void WhoDoesNotTellOfPagesLosesFrames()
    {
        _driver.Connect(features: false);
        Assert.True(_driver.Backend.Send(TestFrames.Plain(TestFrames.A, TestFrames.B), default));
        Assert.Equal(1, _driver.Backend.Status.Traffic.ReceiveDrops);
    }

    [Fact]
    public void WithoutScatterGatherAFrameIsOnePage()
    {
        _driver.Connect(features: false);
        NetDriver.Queue queue = _driver.Queues[0];
        _driver.Post(queue, 8);
        Assert.True(_driver.Backend.Send(TestFrames.Plain(TestFrames.A, TestFrames.B, 4097), default));
        Assert.Equal(0, queue.Received);
        Assert.True(_driver.Backend.Send(TestFrames.Plain(TestFrames.A, TestFrames.B, 4096), default));
        Assert.Equal(1, queue.Received);
    }

    [Fact]
    public void APageThatIsNotGrantedIsAnErrorOfItsSlot()
    {
        NetDriver.Queue queue = Connect();
        FakePage[] first = _driver.Post(queue, 1);
        queue.Post(9999);
        (uint readOnly, _) = _driver.Grant();
        _driver.Frontend.ReadOnlyGrants.Add(readOnly);
        queue.Post(readOnly);
        Assert.True(_driver.Backend.Send(TestFrames.Plain(TestFrames.A, TestFrames.B, 9000), default));
        Assert.Equal((0, 0, 4, 4096), Read(queue.Take()));
        Assert.Equal((1, 0, 4, -1), Read(queue.Take()));
        Assert.Equal((2, 0, 0, -1), Read(queue.Take()));
        Assert.Single(first[0].Written);
        Assert.Equal(1, _driver.Backend.Status.Traffic.ReceiveDrops);
        Assert.Contains(_driver.Frontend.Log.Lines, line => line.Contains("9999", StringComparison.Ordinal));
        Assert.Equal("4", _driver.State);
    }

    [Fact]
    public void NobodyThereDropsIt()
    {
        Assert.True(_driver.Backend.Send(TestFrames.Plain(TestFrames.A, TestFrames.B), default));
        Assert.True(_driver.Backend.Send(new byte[5], default));
        Assert.Equal(2, _driver.Backend.Status.Traffic.ReceiveDrops);
    }

    [Fact]
    public void AFlowStaysOnItsQueueAndFlowsSpread()
    {
        _driver.Connect(queues: 4);
        _driver.Queues.ForEach(queue => _driver.Post(queue, 200));
        byte[] frame = TestFrames.Transport(100);
        _driver.Backend.Send(frame, default);
        int used = _driver.Queues.FindIndex(queue => queue.Received == 1);
        for (int i = 0; i < 10; i++)
        {
            _driver.Backend.Send(frame, default);
        }

        Assert.Equal(11, _driver.Queues[used].Received);
        for (ushort port = 0; port < 100; port++)
        {
            BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(34), port);
            _driver.Backend.Send(frame, default);
        }

        Assert.All(_driver.Queues, queue => Assert.InRange(queue.Received, 10, 60));
    }

    [Fact]
    public void SendersOfSeveralThreadsTakeTurns()
    {
        NetDriver.Queue queue = Connect();
        FakePage[] pages = _driver.Post(queue, 200);
        Parallel.For(0, 200, i => Assert.True(_driver.Backend.Send(TestFrames.Plain(TestFrames.A, new MacAddress((ulong)i), 60), default)));
        Assert.Equal(200, queue.Received);
        Assert.Equal(Enumerable.Range(0, 200).Select(i => (ulong)i), pages.Select(page => MacAddress.Read(page.Bytes[6..]).Value).Order());
    }

    private static (int Id, int Offset, int Flags, int Status) Read(byte[] slot) => (
        BinaryPrimitives.ReadUInt16LittleEndian(slot), BinaryPrimitives.ReadUInt16LittleEndian(slot.AsSpan(2)),
        BinaryPrimitives.ReadUInt16LittleEndian(slot.AsSpan(4)), BinaryPrimitives.ReadInt16LittleEndian(slot.AsSpan(6)));

    private NetDriver.Queue Connect()
    {
        _driver.Connect();
        return _driver.Queues[0];
    }
}
