using Dbt.Devices.Network;
using Dbt.Devices.Network.Frontend;
using Dbt.Devices.Network.Switch;
using Dbt.Xen.Snapshot;

namespace Dbt.Tests.Devices.Network;

/// <summary>Frames that come for a guest while it is held: they are its first when it goes on, here or elsewhere.</summary>
public sealed class WaitingFramesTests : IDisposable
{
    private const uint Card = 0;

    private readonly NetDriver _driver = new();

    public void Dispose() => _driver.Dispose();

    [Fact]
    public void TheyComeFirstWhenItGoesOnHere()
    {
        _driver.Connect();
        FakePage[] pages = _driver.Post(_driver.Queues[0], 4);
        _driver.Backend.Hold();
        byte[][] frames = [Frame(60), Frame(61), Frame(62)];
        Assert.True(_driver.Backend.Send(frames[0], default));
        Assert.True(_driver.Backend.Send(frames[1], default));
        Assert.Equal(0, _driver.Queues[0].Received);
        _driver.Backend.Release();
        Assert.True(_driver.Backend.Send(frames[2], default));
        AssertReceived(_driver, pages, frames);
        Assert.Equal(0, _driver.Backend.Status.Traffic.ReceiveDrops);
    }

    [Fact]
    public void TheyGoWhereItGoes()
    {
        _driver.Connect();
        _driver.Post(_driver.Queues[0], 4);
        _driver.Backend.Hold();
        byte[] large = TestFrames.Transport(20_000, blank: true);
        var cut = new FrameOffload(true, true, SegmentationKind.TcpV4, 1448);
        Assert.True(_driver.Backend.Send(Frame(60), new FrameOffload(DataValidated: true)));
        Assert.True(_driver.Backend.Send(large, cut));
        StateReader state = Capture(_driver.Backend);
        (_, _, SavedVifState saved) = VifBackend.Read(state.Take(SectionType.Network));
        saved = saved with { Waiting = WaitingFrames.Read(state.Take(SectionType.NetworkFrames)) };
        state.End();

        // The same guest, as it is there: its rings, and nobody who serves them but the one that takes the state up.
        using var there = new NetDriver();
        there.Connect();
        FakePage[] pages = there.Post(there.Queues[0], 12);
        there.Backend.Hold();
        var cable = new FakeCable();
        using (var arrived = new VifBackend(there.Store, there.Frontend, _driver.Backend.Configuration, cable, saved))
        {
            // One that comes there before it goes on is behind them.
            Assert.True(cable.Guest!.Send(Frame(61), default));
            Assert.Equal(0, there.Queues[0].Received);
            arrived.Release();
            NetDriver.Queue queue = there.Queues[0];
            Assert.Equal(1 + 6 + 1, queue.Received);
            Assert.Equal(Frame(60), pages[0].Bytes[..60]);
            Assert.Equal(large[..4096], pages[1].Bytes.ToArray());
            Assert.Equal(Frame(61), pages[7].Bytes[..61]);
        }

        // It stays here, if that is what becomes of it, with all of them.
        _driver.Backend.Release();
        Assert.Equal(1, _driver.Queues[0].Received);
        FakePage[] more = _driver.Post(_driver.Queues[0], 4);
        _driver.KickReceive(_driver.Queues[0]);
        NetDriver.Queue.Until(() => _driver.Queues[0].Received == 7, "the large frame was not delivered when there was room");
        Assert.Equal(large[16_384..], more[2].Bytes[..(large.Length - 16_384)].ToArray());
    }

    [Fact]
    public void WithoutRoomTheyWaitInTheirOrder()
    {
        _driver.Connect();
        _driver.Backend.Hold();
        Assert.True(_driver.Backend.Send(Frame(60), default));
        Assert.True(_driver.Backend.Send(Frame(61), default));
        using var room = new SemaphoreSlim(0);
        _driver.Backend.RoomAvailable += () => room.Release();
        _driver.Backend.Release();

        // What comes now is not taken before them.
        Assert.False(_driver.Backend.Send(Frame(62), default));
        Assert.Equal(0, room.CurrentCount);
        FakePage[] pages = _driver.Post(_driver.Queues[0], 3);
        _driver.KickReceive(_driver.Queues[0]);
        Assert.True(room.Wait(TimeSpan.FromSeconds(30)));
        Assert.True(_driver.Backend.Send(Frame(62), default));
        AssertReceived(_driver, pages, [Frame(60), Frame(61), Frame(62)]);
    }

    [Fact]
    public void ThereAreOnlySoMany()
    {
        _driver.Connect();
        _driver.Backend.Hold();
        for (int i = 0; i < FrameQueue.MaxFrames; i++)
        {
            Assert.True(_driver.Backend.Send(Frame(60), default));
        }

        Assert.False(_driver.Backend.Send(Frame(60), default));
        WaitingFrames read = WaitingFrames.Read(Capture(_driver.Backend).Take(SectionType.NetworkFrames));
        int count = 0;
        Assert.True(read.TryDeliver((_, _) => ++count > 0));
        Assert.Equal(FrameQueue.MaxFrames, count);

        var large = new WaitingFrames();
        Assert.Equal(32, Enumerable.Range(0, 100).Count(_ => large.TryAdd(new byte[65_000], default)));
    }

    [Fact]
    public void ThoseThatASwitchHasAreTakenAlong()
    {
        string root = Directory.CreateTempSubdirectory("dbt-sw").FullName;
        try
        {
            using SharedSwitchPort peer = SharedSwitchPort.Open("net0", root), port = SharedSwitchPort.Open("net0", root);
            peer.Connect(new FakeCable());

            // A guest without room: the first frame waits at its port's thread, the others in the socket, which takes ten at least.
            var guest = new FakeCable { Room = 0 };
            port.Connect(guest);
            byte[][] frames = [.. Enumerable.Range(60, 8).Select(Frame)];
            foreach (byte[] frame in frames)
            {
                Assert.True(peer.Send(frame, default));
            }

            port.Settle();
            Assert.Empty(guest.Frames);
            guest.Room = int.MaxValue;
            port.Settle();
            Assert.Equal(frames, guest.Frames.Select(static got => got.Frame));
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    [Theory]
    [InlineData(4, 0, 0, 60)]
    [InlineData(0, 3, 1, 60)]
    [InlineData(0, 1, 0, 60)]
    [InlineData(0, 0, 9, 60)]
    [InlineData(0, 0, 0, 13)]
    [InlineData(0, 0, 0, 65_550)]
    public void WhatWasNeverWrittenIsRefused(byte flags, byte kind, ushort size, int length)
    {
        var section = new SectionWriter();
        section.UInt32(1);
        section.Byte(flags);
        section.Byte(kind);
        section.UInt16(size);
        section.Block(new byte[length]);
        Assert.Throws<SnapshotException>(() => WaitingFrames.Read(new SectionReader(SectionType.NetworkFrames, Card, section.Written.ToArray())));
    }

    private static byte[] Frame(int length) => TestFrames.Plain(TestFrames.A, TestFrames.B, length);

    private static StateReader Capture(VifBackend card)
    {
        using var stream = new MemoryStream();
        var writer = new StateWriter(stream);
        writer.Section(SectionType.Network, Card, card.Capture);
        card.CaptureWaiting(writer);
        writer.End();
        stream.Position = 0;
        return StateReader.Read(stream);
    }

    private static void AssertReceived(NetDriver driver, FakePage[] pages, byte[][] frames)
    {
        Assert.Equal(frames.Length, driver.Queues[0].Received);
        for (int i = 0; i < frames.Length; i++)
        {
            Assert.Equal(frames[i], pages[i].Bytes[..frames[i].Length].ToArray());
        }
    }
}
