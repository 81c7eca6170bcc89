using Dbt.Devices;

namespace Dbt.Tests.Devices;

/// <summary>The dance of the two ends of a disk through xenstore.</summary>
public sealed class BlockNegotiationTests
{
    [Fact]
    public void OffersTheDisk()
    {
        using var driver = new BlockDriver(new FakeDisk(100));
        Assert.Equal("2", driver.BackState);
        Assert.Equal("51712\0", driver.Guest.List("device/vbd"));
        Assert.Equal(BlockDriver.Back, driver.Guest.Read(BlockDriver.Front + "/backend"));
        Assert.Equal("0", driver.Guest.Read(BlockDriver.Front + "/backend-id"));
        Assert.Equal("51712", driver.Guest.Read(BlockDriver.Front + "/virtual-device"));
        Assert.Equal("disk", driver.Guest.Read(BlockDriver.Front + "/device-type"));
        Assert.Equal("1", driver.Guest.Read(BlockDriver.Front + "/state"));
        foreach ((string node, string value) in (ReadOnlySpan<(string, string)>)[
            ("frontend", "/local/domain/1/device/vbd/51712"), ("frontend-id", "1"), ("dev", "xvda"), ("mode", "w"), ("info", "0"),
            ("sectors", "100"), ("sector-size", "512"), ("online", "1"), ("removable", "0"), ("feature-flush-cache", "1"),
            ("feature-barrier", "1"), ("feature-discard", "1")])
        {
            Assert.Equal(value, driver.Guest.Read($"{BlockDriver.Back}/{node}"));
        }

        Assert.Equal("!EACCES", driver.Guest.Write(BlockDriver.Back + "/state", "4"));
    }

    [Fact]
    public void OffersACdrom()
    {
        using var driver = new BlockDriver(new FakeDisk(100) { IsReadOnly = true, DiscardGranularity = 0 }, type: DiskType.Cdrom);
        Assert.Equal("r", driver.Guest.Read(BlockDriver.Back + "/mode"));
        Assert.Equal("7", driver.Guest.Read(BlockDriver.Back + "/info"));
        Assert.Equal("cdrom", driver.Guest.Read(BlockDriver.Front + "/device-type"));
        Assert.Equal("!ENOENT", driver.Guest.Read(BlockDriver.Back + "/feature-discard"));
    }

    [Theory]
    [InlineData("3")] // Linux, GRUB
    [InlineData("4")] // Mini-OS
    public void ConnectsBeforeTheFrontendsWriteReturns(string state)
    {
        using var driver = new BlockDriver(new FakeDisk(100));
        driver.Connect(state: state);
        Assert.Equal("4", driver.BackState);
        driver.Guest.Write(BlockDriver.Front + "/state", "4");
        Assert.Equal("4", driver.BackState);
        (uint reference, _) = driver.Buffer();
        Assert.Equal(0, driver.Do(0, 0, (reference, 0, 7)));
    }

    [Fact]
    public void ABootLoaderAndItsKernelTakeTurns()
    {
        using var driver = new BlockDriver(new FakeDisk(100));
        for (int boot = 0; boot < 3; boot++)
        {
            driver.Connect();
            Assert.Equal("4", driver.BackState);
            (uint reference, _) = driver.Buffer();
            for (ulong i = 0; i < 50; i++)
            {
                Assert.Equal(0, driver.Do(0, i, (reference, 0, 7)));
            }

            driver.Guest.Write(BlockDriver.Front + "/state", "6");
            Assert.Equal("6", driver.BackState);
            Assert.Equal(0, driver.Frontend.Mapped);
            Assert.Empty(driver.Frontend.Signals);
            driver.Guest.Write(BlockDriver.Front + "/ring-ref", "");
            driver.Guest.Write(BlockDriver.Front + "/event-channel", "");
            driver.Guest.Write(BlockDriver.Front + "/state", "1");
            Assert.Equal("2", driver.BackState);
        }
    }

    [Fact]
    public void AKernelThatWasNotAnnouncedGetsItsNewRing()
    {
        using var driver = new BlockDriver(new FakeDisk(100));
        driver.Connect();
        FakePage old = driver.Ring[0];
        driver.Connect();
        Assert.NotSame(old, driver.Ring[0]);
        Assert.Equal(1, driver.Frontend.Mapped);
        (uint reference, _) = driver.Buffer();
        Assert.Equal(0, driver.Do(0, 0, (reference, 0, 7)));
    }

    [Fact]
    public void ClosingIsAnswered()
    {
        using var driver = new BlockDriver(new FakeDisk(100));
        driver.Connect();
        driver.Guest.Write(BlockDriver.Front + "/state", "5");
        Assert.Equal("5", driver.BackState);
        Assert.Equal(0, driver.Frontend.Mapped);
        driver.Guest.Write(BlockDriver.Front + "/state", "6");
        Assert.Equal("6", driver.BackState);
        driver.Guest.Remove(BlockDriver.Front);
        Assert.Equal("6", driver.BackState);
    }

    [Theory]
    [InlineData("ring-ref", "9999")]
    [InlineData("ring-ref", "")]
    [InlineData("ring-ref", "-1")]
    [InlineData("ring-ref", "99999999999999999999")]
    [InlineData("event-channel", "")]
    [InlineData("event-channel", "77")]
    [InlineData("event-channel", "4294967295")]
    [InlineData("protocol", "vax-abi")]
    [InlineData("ring-page-order", "5")]
    [InlineData("ring-page-order", "2")]
    [InlineData("ring-page-order", "31")]
    [InlineData("num-ring-pages", "3")]
    [InlineData("num-ring-pages", "0")]
    public void HostileNodesCloseTheDeviceAndNoMore(string node, string value)
    {
        using var driver = new BlockDriver(new FakeDisk(100));
        driver.Connect(state: "1");
        driver.Guest.Write($"{BlockDriver.Front}/{node}", value);
        driver.Guest.Write(BlockDriver.Front + "/state", "3");
        Assert.Equal("5", driver.BackState);
        Assert.Equal(0, driver.Frontend.Mapped);
        Assert.NotEmpty(driver.Frontend.Log.Lines);
        driver.Guest.Remove($"{BlockDriver.Front}/{node}");
        driver.Guest.Write(BlockDriver.Front + "/state", "1");
        Assert.Equal("2", driver.BackState);
        driver.Connect();
        Assert.Equal("4", driver.BackState);
    }

    [Theory]
    [InlineData("")]
    [InlineData("banana")]
    [InlineData("9")]
    [InlineData("4294967297")]
    [InlineData("-3")]
    public void ImpossibleStatesCloseTheDevice(string state)
    {
        using var driver = new BlockDriver(new FakeDisk(100));
        driver.Connect();
        driver.Guest.Write(BlockDriver.Front + "/state", state);
        Assert.Equal("6", driver.BackState);
        Assert.Equal(0, driver.Frontend.Mapped);
    }

    [Fact]
    public void TheEndLeavesNothing()
    {
        var disk = new FakeDisk(100);
        var driver = new BlockDriver(disk);
        driver.Connect();
        driver.Dispose();
        Assert.True(disk.IsDisposed);
        Assert.False(driver.Store.Exists(BlockDriver.Back));
        Assert.False(driver.Store.Exists("/local/domain/1/" + BlockDriver.Front));
    }
}
