namespace Dbt.Tests.Devices.Network;

/// <summary>
/// Frontends that mean harm: each frame that makes no sense gets an error response, or the device is closed with a reason; nothing throws,
/// loops, or stays mapped (XSA-155 and the like; netback's own: XSA-39, XSA-362, XSA-423, XSA-424, XSA-432).
/// </summary>
public sealed class VifHostileTests : IDisposable
{
    private readonly NetDriver _driver = new();
    private readonly NetDriver.Queue _queue;

    public VifHostileTests()
    {
        _driver.Connect();
        _queue = _driver.Queues[0];
    }

    public void Dispose() => _driver.Dispose();

    [Theory]
    [InlineData(257u)]
    [InlineData(0x8000_0000u)]
    [InlineData(0xFFFF_FFFFu)]
    public void AWildTransmitIndexCloses(uint producer)
    {
        _queue.Transmit[0] = producer;
        _driver.Kick(_queue);
        Assert.Contains("indices", _driver.WaitClosed(), StringComparison.Ordinal);
        Assert.Empty(_driver.Cable.Frames);
    }

    [Theory]
    [InlineData(257u)]
    [InlineData(0xFFFF_FFFFu)]
    public void AWildReceiveIndexCloses(uint producer)
    {
        _queue.Receive[0] = producer;
        Assert.True(_driver.Backend.Send(TestFrames.Plain(TestFrames.A, TestFrames.B), default));
        Assert.Contains("receive ring indices", _driver.WaitClosed(), StringComparison.Ordinal);
    }

    [Fact]
    public void AnIndexThatGoesBackCloses()
    {
        _driver.PutFrame(_queue, TestFrames.Plain(TestFrames.B, TestFrames.A));
        _driver.PutFrame(_queue, TestFrames.Plain(TestFrames.B, TestFrames.A));
        _driver.Kick(_queue);
        _queue.Wait(2);
        _queue.Transmit[0] = 1;
        _driver.Kick(_queue);
        Assert.Contains("indices", _driver.WaitClosed(), StringComparison.Ordinal);
    }

    [Fact]
    public void AClosedDeviceMayBeOpenedAgain()
    {
        _queue.Transmit[0] = 1000;
        _driver.Kick(_queue);
        _driver.WaitClosed();
        _driver.Guest.Write(NetDriver.Front + "/state", "6");
        _driver.Guest.Write(NetDriver.Front + "/state", "1");
        _driver.Connect();
        _driver.PutFrame(_driver.Queues[0], TestFrames.Plain(TestFrames.B, TestFrames.A));
        _driver.Kick(_driver.Queues[0]);
        Assert.Equal(0, _driver.Queues[0].Wait(1)[0].Status);
    }

    [Fact]
    public void AChainWithoutEndCloses()
    {
        uint reference = _driver.Grant().Reference;
        for (int i = 0; i < 30; i++)
        {
            _queue.Put(reference, 0, NetDriver.More, 1, 60);
        }

        Closes("too many slots");
    }

    [Fact]
    public void AChainThatIsCutShortCloses()
    {
        _queue.Put(_driver.Grant().Reference, 0, NetDriver.More, 1, 600);
        Closes("last slots are missing");
    }

    [Fact]
    public void AFullRingOfExtraInfoCloses()
    {
        _queue.Put(_driver.Grant().Reference, 0, NetDriver.Extra, 1, 600);
        for (int i = 0; i < 255; i++)
        {
            _queue.PutExtra(1, 1, 1000, 1);
        }

        Closes("extra info is missing");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(5)]
    [InlineData(255)]
    public void UnknownExtraInfoCloses(byte type)
    {
        _queue.Put(_driver.Grant().Reference, 0, NetDriver.Extra, 1, 600);
        _queue.PutExtra(type, 0);
        Closes("unknown kind");
    }

    [Theory]
    [InlineData(4090, 60, 60)]
    [InlineData(65535, 60, 60)]
    [InlineData(0, 4097, 4097)]
    [InlineData(1, 4096, 4096)]
    public void APieceAcrossItsPageCloses(ushort offset, ushort size, ushort total)
    {
        Assert.True(size <= total);
        _queue.Put(_driver.Grant().Reference, offset, 0, 1, total);
        Closes("crosses its page");
    }

    [Fact]
    public void ALaterPieceAcrossItsPageCloses()
    {
        _queue.Put(_driver.Grant().Reference, 0, NetDriver.More, 1, 600);
        _queue.Put(_driver.Grant().Reference, 65535, 0, 2, 65535);
        Closes("crosses its page");
    }

    [Fact]
    public void PiecesLongerThanTheFrameAreAnError()
    {
        _queue.Put(_driver.Grant().Reference, 0, NetDriver.More, 1, 100);
        _queue.Put(_driver.Grant().Reference, 0, NetDriver.More, 2, 80);
        _queue.Put(_driver.Grant().Reference, 0, 0, 3, 80);
        Refuses((1, -1), (2, -1), (3, -1));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(13)]
    public void AFrameWithoutAHeaderIsAnError(ushort size)
    {
        _queue.Put(_driver.Grant().Reference, 0, 0, 1, size);
        Refuses((1, -1));
    }

    [Fact]
    public void APageThatIsNotGrantedIsAnError()
    {
        _queue.Put(_driver.Grant().Reference, 0, NetDriver.More, 1, 200);
        _queue.Put(0xFFFF_FFFF, 0, 0, 2, 100);
        Refuses((1, -1), (2, -1));
        Assert.Contains(_driver.Frontend.Log.Lines, line => line.Contains("4294967295", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(1, 0)] // no size
    [InlineData(3, 1000)] // no such protocol
    [InlineData(2, 1000)] // the frame is IPv4
    public void ASegmentationThatMakesNoSenseIsAnError(byte kind, ushort size)
    {
        byte[] frame = TestFrames.Transport(2000, blank: true);
        _queue.Put(_driver.Grant(frame).Reference, 0, NetDriver.Extra | NetDriver.Blank, 1, (ushort)frame.Length);
        _queue.PutExtra(1, 0, size, kind);
        Refuses((1, -1), (0, 1));
    }

    [Fact]
    public void ASegmentationOfWhatIsNotTcpIsAnError()
    {
        foreach (byte[] frame in (byte[][])[TestFrames.Transport(2000, tcp: false, blank: true), TestFrames.Plain(TestFrames.B, TestFrames.A, 2000)])
        {
            _queue.Put(_driver.Grant(frame).Reference, 0, NetDriver.Extra | NetDriver.Blank, 1, (ushort)frame.Length);
            _queue.PutExtra(1, 0, 1000, 1);
            Refuses((1, -1), (0, 1));
        }
    }

    [Fact]
    public void ABlankChecksumThatIsNotThereIsAnError()
    {
        byte[] good = TestFrames.Transport(100, blank: true);
        foreach (int cut in (int[])[14, 33, 34, 53, 60])
        {
            _queue.Put(_driver.Grant(good).Reference, 0, NetDriver.Blank, 1, (ushort)cut);
            Refuses((1, -1));
        }
    }

    [Fact]
    public void AFrontendThatDisappearsIsLetGo()
    {
        _driver.Cable.Room = 0;
        _driver.PutFrame(_queue, TestFrames.Plain(TestFrames.B, TestFrames.A));
        _driver.Kick(_queue);
        _driver.Store.Remove("/local/domain/1/" + NetDriver.Front);
        Assert.Equal("6", _driver.Store.Read(NetDriver.Back + "/state"));
        Assert.Equal(0, _driver.Frontend.Mapped);
    }

    [Fact]
    public void StatesInAnyOrderDoNoHarm()
    {
        var random = new Random(42);
        for (int i = 0; i < 300; i++)
        {
            _driver.Guest.Write(NetDriver.Front + "/state", random.Next(10).ToString(System.Globalization.CultureInfo.InvariantCulture));
            Assert.True(_driver.Backend.Send(TestFrames.Plain(TestFrames.A, TestFrames.B), default) || _driver.State == "4");
        }

        _driver.Guest.Write(NetDriver.Front + "/state", "1");
        Assert.Equal("2", _driver.State);
        Assert.Equal(0, _driver.Frontend.Mapped);
    }

    [Fact]
    public void RandomSlotsDoNoHarm()
    {
        var random = new Random(7);
        uint[] references = [.. Enumerable.Range(0, 8).Select(_ => _driver.Grant(TestFrames.Transport(1000)).Reference)];
        for (int round = 0; round < 200; round++)
        {
            NetDriver.Queue queue = _driver.Queues[0];
            uint before = queue.Transmit[0];
            int count = random.Next(1, 40);
            for (int i = 0; i < count; i++)
            {
                queue.Put(
                    random.Next(10) == 0 ? (uint)random.Next() : references[random.Next(8)], (ushort)random.Next(100), (ushort)random.Next(16),
                    (ushort)i, (ushort)random.Next(2000));
            }

            _driver.Kick(queue);
            NetDriver.Queue.Until(() => queue.Transmit[8] == before + (uint)count || _driver.State == "5", "neither answered nor closed");
            if (_driver.State == "5")
            {
                _driver.Guest.Write(NetDriver.Front + "/state", "1");
                _driver.Connect();
            }
        }

        Assert.Equal("4", _driver.State);
        Assert.Equal(2, _driver.Frontend.Mapped);
    }

    private void Closes(string why)
    {
        _driver.Kick(_queue);
        Assert.Contains(why, _driver.WaitClosed(), StringComparison.Ordinal);
        Assert.Empty(_driver.Cable.Frames);
    }

    private void Refuses(params (int Id, int Status)[] responses)
    {
        _driver.Kick(_queue);
        Assert.Equal(responses, _queue.Wait(responses.Length).Select(static response => ((int)response.Id, (int)response.Status)));

        // What follows is served as if nothing had been.
        Assert.Empty(_driver.Cable.Frames);
        _driver.PutFrame(_queue, TestFrames.Plain(TestFrames.B, TestFrames.A));
        _driver.Kick(_queue);
        Assert.Equal(0, _queue.Wait(1)[0].Status);
        _driver.Cable.Take();
    }
}
