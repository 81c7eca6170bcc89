using Dbt.Runtime;

namespace Dbt.Tests.Devices;

/// <summary>What a frontend may negotiate: several queues, persistent grants, other sectors, no discard.</summary>
public sealed class BlockFeatureTests
{
    private const byte Read = 0, Write = 1;

    [Theory]
    [InlineData(2, 1)]
    [InlineData(4, 1)]
    [InlineData(3, 4)]
    public void SeveralQueues(int queues, int pages)
    {
        var disk = new FakeDisk(256);
        using var driver = new BlockDriver(disk);
        Assert.Equal("4", driver.Guest.Read(BlockDriver.Back + "/multi-queue-max-queues"));
        driver.Connect(pages, queues: queues);
        Assert.Equal("4", driver.BackState);
        Assert.Equal(queues * pages, driver.Frontend.Mapped);
        for (int i = 0; i < queues * 40; i++)
        {
            (uint reference, FakePage page) = driver.Buffer();
            Assert.Equal(0, driver.Queues[i % queues].Do(Read, (ulong)i, (reference, 0, 7)));
            Assert.Equal(disk.Contents.AsSpan(i * 512, 4096), page.Bytes);
        }

        driver.Guest.Write(BlockDriver.Front + "/state", "5");
        Assert.Equal(0, driver.Frontend.Mapped);
        Assert.Empty(driver.Frontend.Signals);
    }

    [Theory]
    [InlineData("0")]
    [InlineData("5")]
    [InlineData("-1")]
    [InlineData("4294967296")]
    [InlineData("")]
    public void AnImpossibleNumberOfQueuesClosesTheDevice(string number)
    {
        using var driver = new BlockDriver(new FakeDisk(100));
        driver.Connect(state: "1");
        driver.Guest.Write(BlockDriver.Front + "/multi-queue-num-queues", number);
        driver.Guest.Write(BlockDriver.Front + "/state", "3");
        Assert.Equal("5", driver.BackState);
        Assert.Equal(0, driver.Frontend.Mapped);
    }

    [Fact]
    public void OneBadQueueIsNoQueue()
    {
        using var driver = new BlockDriver(new FakeDisk(100));
        driver.Connect(state: "1", queues: 3);
        driver.Guest.Write(BlockDriver.Front + "/queue-2/event-channel", "4444");
        driver.Guest.Write(BlockDriver.Front + "/state", "3");
        Assert.Equal("5", driver.BackState);
        Assert.Equal(0, driver.Frontend.Mapped);
        Assert.Empty(driver.Frontend.Signals);
    }

    [Fact]
    public void OneBrokenQueueClosesAll()
    {
        using var driver = new BlockDriver(new FakeDisk(100));
        driver.Connect(queues: 2);
        driver.Queues[1].Pages[0][0] = 1000;
        driver.Queues[1].Kick();
        driver.WaitForState("5");
        Assert.Equal(0, driver.Frontend.Mapped);
        Assert.Contains(driver.Frontend.Log.Lines, static line => line.Contains("ring indices", StringComparison.Ordinal));
    }

    [Fact]
    public void PersistentGrantsStayInUse()
    {
        var disk = new FakeDisk(1024);
        using BlockDriver driver = Persistent(disk);
        (uint a, FakePage pageA) = driver.Buffer();
        (uint b, _) = driver.Buffer();
        Assert.Equal(0, driver.Do(Read, 8, (a, 0, 7), (b, 0, 7), (a, 0, 7)));
        Assert.Equal(3, driver.Frontend.Mapped); // the ring, and each page once
        Assert.Equal(disk.Contents.AsSpan(24 * 512, 4096), pageA.Bytes);
        Assert.Equal(0, driver.Do(Write, 0, (a, 0, 7)));
        Assert.Equal(3, driver.Frontend.Mapped);

        // One that may only be read serves a write, and doesn't stay.
        (uint readOnly, _) = driver.Buffer();
        driver.Frontend.ReadOnlyGrants.Add(readOnly);
        Assert.Equal(0, driver.Do(Write, 0, (readOnly, 0, 7)));
        Assert.Equal(-1, driver.Do(Read, 0, (readOnly, 0, 7)));
        Assert.Equal(-1, driver.Do(Read, 0, (a, 0, 7), (987654, 0, 7)));
        Assert.Equal(3, driver.Frontend.Mapped);
        driver.Guest.Write(BlockDriver.Front + "/state", "5");
        Assert.Equal(0, driver.Frontend.Mapped);
    }

    [Fact]
    public void AListMayBeItsOwnTarget()
    {
        var disk = new FakeDisk(64);
        using BlockDriver driver = Persistent(disk);
        (uint list, FakePage page) = driver.Buffer();
        page[0] = page[8] = list;
        page[4] = page[12] = 7 << 8;
        driver.PutIndirect(Read, 1, 0, 2, list);
        driver.Kick();
        Assert.Equal(0, driver.Wait().Status);
        Assert.Equal(disk.Contents.AsSpan(8 * 512, 4096), page.Bytes);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ARingThatIsItsOwnTargetIsBroken(bool persistent)
    {
        var disk = new FakeDisk(64);
        disk.Contents.AsSpan().Fill(0xFF);
        using BlockDriver driver = Persistent(disk, persistent);
        driver.Put(Read, 1, 0, (driver.Queues[0].References[0], 0, 7));
        driver.Kick();
        Assert.True(SpinWait.SpinUntil(() => driver.Ring[0][8] == 1, TimeSpan.FromSeconds(30))); // responded, over what was read
        if (driver.Frontend.Signals.TryGetValue(driver.Port, out Action? signal))
        {
            signal(); // it hadn't looked again by itself
        }

        driver.WaitForState("5");
        Assert.Equal(0, driver.Frontend.Mapped);
        Assert.Contains(driver.Frontend.Log.Lines, static line => line.Contains("ring indices", StringComparison.Ordinal));
    }

    [Fact]
    public void PersistentGrantsAreLimited()
    {
        using BlockDriver driver = Persistent(new FakeDisk(64));
        (uint often, _) = driver.Buffer();
        for (int i = 0; i < 1500; i++)
        {
            Assert.Equal(0, driver.Do(Read, 0, (driver.Buffer().Reference, 0, 0)));
            Assert.Equal(0, driver.Do(Read, 0, (often, 0, 0)));
        }

        Assert.Equal(1056 + 1, driver.Frontend.Mapped);

        // The one that was used most recently stayed: it is served even when the guest has taken the grant back.
        driver.Frontend.Grants.TryRemove(often, out _);
        Assert.Equal(0, driver.Do(Read, 0, (often, 0, 0)));
    }

    [Fact]
    public void PersistentGrantsAreKeptOnlyWhereBothSidesWant()
    {
        foreach ((bool back, string front) in (ReadOnlySpan<(bool, string)>)[(true, "0"), (false, "1")])
        {
            using var driver = new BlockDriver(new FakeDisk(64), configure: disk => disk with { PersistentGrants = back });
            Assert.Equal(back ? "1" : "0", driver.Guest.Read(BlockDriver.Back + "/feature-persistent"));
            driver.Guest.Write(BlockDriver.Front + "/feature-persistent", front);
            driver.Connect();
            Assert.Equal(0, driver.Do(Read, 0, (driver.Buffer().Reference, 0, 0)));
            Assert.Equal(1, driver.Frontend.Mapped);
        }
    }

    [Fact]
    public void SectorsOf4096Bytes()
    {
        var disk = new FakeDisk(103);
        using var driver = new BlockDriver(disk, configure: static disk => disk with { SectorSize = 4096 });
        Assert.Equal("4096", driver.Guest.Read(BlockDriver.Back + "/sector-size"));
        Assert.Equal("4096", driver.Guest.Read(BlockDriver.Back + "/physical-sector-size"));
        Assert.Equal("4096", driver.Guest.Read(BlockDriver.Back + "/discard-granularity"));
        Assert.Equal("96", driver.Guest.Read(BlockDriver.Back + "/sectors"));
        driver.Connect();
        (uint reference, FakePage page) = driver.Buffer();
        Assert.Equal(0, driver.Do(Read, 88, (reference, 0, 7)));
        Assert.Equal(disk.Contents.AsSpan(88 * 512, 4096), page.Bytes);
        Assert.Equal(-1, driver.Do(Read, 96, (reference, 0, 7)));
        Assert.Equal(-1, driver.Do(Read, 84, (reference, 0, 7)));
        Assert.Equal(-1, driver.Do(Read, 0, (reference, 0, 3)));
        Assert.Equal(-1, driver.Do(Read, 0, (reference, 0, 3), (reference, 4, 7)));
        foreach ((ulong sector, ulong count, short status) in (ReadOnlySpan<(ulong, ulong, short)>)[(8, 8, 0), (8, 4, -1), (4, 8, -1)])
        {
            driver.PutDiscard(1, sector, count);
            driver.Kick();
            Assert.Equal(status, driver.Wait().Status);
        }
    }

    [Fact]
    public void TheDevicesOwnSectorsAreTheLeast()
    {
        using var driver = new BlockDriver(new FakeDisk(64) { SectorSizes = (4096, 16384) });
        Assert.Equal("4096", driver.Guest.Read(BlockDriver.Back + "/sector-size"));
        Assert.Equal("16384", driver.Guest.Read(BlockDriver.Back + "/physical-sector-size"));
        Assert.Throws<HostException>(static () => new BlockDriver(new FakeDisk(64) { SectorSizes = (4096, 4096) }, configure: static disk => disk with { SectorSize = 512 }));
        Assert.Throws<HostException>(static () => new BlockDriver(new FakeDisk(7), configure: static disk => disk with { SectorSize = 4096 }));
    }

    [Fact]
    public void DiscardCanBeSwitchedOff()
    {
        using var driver = new BlockDriver(new FakeDisk(64), configure: static disk => disk with { Discard = false });
        Assert.Equal("0", driver.Guest.Read(BlockDriver.Back + "/discard-enable"));
        Assert.Equal("!ENOENT", driver.Guest.Read(BlockDriver.Back + "/feature-discard"));
        driver.Connect();
        driver.PutDiscard(1, 0, 8);
        driver.Kick();
        Assert.Equal(-2, driver.Wait().Status);
    }

    private static BlockDriver Persistent(FakeDisk disk, bool persistent = true)
    {
        var driver = new BlockDriver(disk);
        driver.Guest.Write(BlockDriver.Front + "/feature-persistent", persistent ? "1" : "0");
        driver.Connect();
        return driver;
    }
}
