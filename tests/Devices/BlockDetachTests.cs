namespace Dbt.Tests.Devices;

/// <summary>Taking a disk away from a guest that runs, which may or may not play along.</summary>
public sealed class BlockDetachTests
{
    private const string Front = BlockDriver.Front;
    private const string Back = BlockDriver.Back;

    [Fact]
    public void AGuestThatClosesLetsGo()
    {
        using var driver = new BlockDriver(new FakeDisk(64));
        driver.Connect();
        driver.Guest.Write(Front + "/state", "4");
        driver.Backend.BeginDetach();
        Assert.Equal(("0", "5"), (driver.Guest.Read(Back + "/online"), driver.BackState));

        // Served until then: the guest writes back what it has to.
        Assert.Equal(0, driver.Do(1, 0, (driver.Buffer().Reference, 0, 7)));
        Assert.False(driver.Backend.Released.IsCompleted);
        driver.Guest.Write(Front + "/state", "5");
        Assert.Equal(0, driver.Frontend.Mapped);
        Assert.False(driver.Backend.Released.IsCompleted);
        driver.Guest.Write(Front + "/state", "6");
        Assert.Equal("6", driver.BackState);
        Assert.True(driver.Backend.Released.IsCompleted);
    }

    [Theory]
    [InlineData("1")] // its driver starts over
    [InlineData("6")] // closed without a word
    [InlineData("")]
    public void AGuestThatDropsItLetsGo(string state)
    {
        using var driver = new BlockDriver(new FakeDisk(64));
        driver.Connect();
        driver.Backend.BeginDetach();
        driver.Guest.Write(Front + "/state", state);
        Assert.True(driver.Backend.Released.IsCompleted);
        Assert.Equal("6", driver.BackState);
        Assert.Equal(0, driver.Frontend.Mapped);

        // Nor can it have the disk back.
        driver.Guest.Write(Front + "/state", "1");
        driver.Connect();
        Assert.Equal("6", driver.BackState);
        Assert.Equal(0, driver.Frontend.Mapped);
    }

    [Fact]
    public void ADiskThatNobodyOpenedGoesAtOnce()
    {
        using var driver = new BlockDriver(new FakeDisk(64));
        driver.Backend.BeginDetach();
        Assert.True(driver.Backend.Released.IsCompleted);
    }

    [Fact]
    public void RemovedByForceItIsGone()
    {
        var driver = new BlockDriver(new FakeDisk(64));
        driver.Connect();
        driver.Backend.BeginDetach();
        Assert.False(driver.Backend.Released.IsCompleted);
        driver.Dispose();
        Assert.False(driver.Store.Exists(Back));
        Assert.False(driver.Store.Exists("/local/domain/1/" + Front));
    }
}
