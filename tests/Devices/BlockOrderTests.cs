namespace Dbt.Tests.Devices;

/// <summary>Requests under way at the same time: what runs in parallel, what waits for what, and closing meanwhile.</summary>
public sealed class BlockOrderTests
{
    private const byte Read = 0, Write = 1, Barrier = 2, Flush = 3;

    [Fact]
    public void SlowRequestsRunInParallel()
    {
        var disk = new FakeDisk(256);
        using var driver = new BlockDriver(disk);
        driver.Connect();
        (uint reference, _) = driver.Buffer();
        disk.Go.Reset();
        for (ulong i = 0; i < 32; i++)
        {
            driver.Put(i % 2 == 0 ? Read : Write, i, i * 8, (reference, 0, 7));
        }

        driver.Kick();
        WaitFor(() => disk.Under == 8);

        // What is at hand doesn't wait for the host's storage, nor for those that do.
        disk.HasAtHand = true;
        Assert.Equal(0, driver.Queues[0].Ready);
        disk.Go.Set();
        ulong seen = 0;
        for (int i = 0; i < 32; i++)
        {
            (ulong id, _, short status) = driver.Wait();
            Assert.Equal(0, status);
            seen |= 1ul << (int)id;
        }

        Assert.Equal(uint.MaxValue, seen);
        Assert.Equal(8, disk.Most);
    }

    [Fact]
    public void WhatIsAtHandOvertakes()
    {
        var disk = new FakeDisk(256) { HasAtHand = true };
        using var driver = new BlockDriver(disk);
        driver.Connect();
        (uint reference, _) = driver.Buffer();
        disk.Go.Reset();
        driver.Put(Write, 1, 0, (reference, 0, 7));
        driver.Put(Read, 2, 8, (reference, 0, 7));
        driver.Kick();
        Assert.Equal(2ul, driver.Wait().Id);
        disk.Go.Set();
        Assert.Equal(1ul, driver.Wait().Id);
    }

    [Theory]
    [InlineData(Flush)]
    [InlineData(Barrier)]
    public void AFlushComesAfterTheWritesBeforeIt(byte operation)
    {
        var disk = new FakeDisk(256);
        using var driver = new BlockDriver(disk);
        driver.Connect();
        (uint reference, _) = driver.Buffer();
        disk.Go.Reset();
        for (ulong i = 0; i < 5; i++)
        {
            driver.Put(Write, i, i * 8, (reference, 0, 7));
        }

        driver.Put(operation, 5, 0);
        driver.Put(Write, 6, 48, (reference, 0, 7));
        driver.Kick();
        WaitFor(() => disk.Under == 5);
        disk.Go.Set();
        for (int i = 0; i < 7; i++)
        {
            Assert.Equal(0, driver.Wait().Status);
        }

        int flush = disk.Done.IndexOf("f");
        for (int i = 0; i < 5; i++)
        {
            Assert.InRange(disk.Done.IndexOf($"w{i * 8}"), 0, flush - 1);
        }

        if (operation == Barrier)
        {
            Assert.True(disk.Done.IndexOf("w48") > flush, string.Join(' ', disk.Done));
        }
    }

    [Fact]
    public void NothingPassesABarrier()
    {
        var disk = new FakeDisk(256);
        using var driver = new BlockDriver(disk);
        driver.Connect();
        (uint reference, _) = driver.Buffer();
        disk.Go.Reset();
        driver.Put(Barrier, 0, 0, (reference, 0, 7));
        driver.Put(Write, 1, 8, (reference, 0, 7));
        driver.Put(Flush, 2, 0);
        driver.Kick();
        WaitFor(() => disk.Under == 1);
        disk.Go.Set();
        Assert.Equal([0ul, 1ul, 2ul], Enumerable.Range(0, 3).Select(_ => driver.Wait().Id));
        Assert.Equal(["f", "w0", "f", "w8", "f"], disk.Done);
    }

    [Fact]
    public void AFrontendThatClosesWaitsForWhatIsUnderWay()
    {
        var disk = new FakeDisk(256);
        using var driver = new BlockDriver(disk);
        driver.Connect();
        (uint reference, _) = driver.Buffer();
        disk.Go.Reset();
        driver.Put(Write, 1, 0, (reference, 0, 7));
        driver.Put(Flush, 2, 0);
        driver.Kick();
        WaitFor(() => disk.Under == 1);
        driver.Guest.Write(BlockDriver.Front + "/state", "5");

        // Its page is in use until the host has written it. The flush hasn't begun, and never does.
        Assert.Equal("4", driver.BackState);
        Assert.Equal(2, driver.Frontend.Mapped);
        disk.Go.Set();
        driver.WaitForState("5");
        Assert.Equal(0, driver.Frontend.Mapped);
        Assert.Equal(["w0"], disk.Done);
        driver.Guest.Write(BlockDriver.Front + "/state", "6");
        Assert.Equal("6", driver.BackState);
        driver.Guest.Write(BlockDriver.Front + "/state", "1");
        driver.Connect();
        Assert.Equal(0, driver.Do(Read, 0, (driver.Buffer().Reference, 0, 7)));
    }

    [Fact]
    public void AFrontendThatReconnectsWaitsForWhatIsUnderWay()
    {
        var disk = new FakeDisk(256);
        using var driver = new BlockDriver(disk);
        driver.Connect();
        (uint reference, _) = driver.Buffer();
        for (int round = 0; round < 20; round++)
        {
            disk.Go.Reset();
            driver.Put(Write, 1, 0, (reference, 0, 7));
            driver.Kick();
            WaitFor(() => disk.Under == 1);
            driver.Connect(); // another ring, without a word
            Assert.DoesNotContain(driver.Port, driver.Frontend.Signals.Keys); // not yet: the old ring awaits a response
            disk.Go.Set();
            WaitFor(() => driver.Frontend.Signals.ContainsKey(driver.Port));
            Assert.Equal(0, driver.Do(Read, 0, (reference, 0, 7)));
        }

        Assert.Equal(1, driver.Frontend.Mapped);
    }

    [Fact]
    public void AtTheEndEverythingIsDone()
    {
        var disk = new FakeDisk(1024);
        var driver = new BlockDriver(disk);
        driver.Connect(queues: 2);
        (uint reference, FakePage page) = driver.Buffer();
        page.Bytes.Fill(0x66);
        disk.Go.Reset();
        for (ulong i = 0; i < 31; i++)
        {
            driver.Queues[0].Put(Write, i, i * 8, (reference, 0, 7));
            driver.Queues[1].Put(Write, i, 512 + (i * 8), (reference, 0, 7));
        }

        driver.Queues[0].Put(Flush, 31, 0);
        driver.Kick();
        WaitFor(() => disk.Under == 8);
        driver.Dispose();
        Assert.All(disk.Contents.AsSpan(0, 31 * 4096).ToArray(), static value => Assert.Equal(0x66, value));
        Assert.All(disk.Contents.AsSpan(512 * 512, 31 * 4096).ToArray(), static value => Assert.Equal(0x66, value));
        Assert.Equal(1, disk.Flushes);
    }

    private static void WaitFor(Func<bool> condition) => Assert.True(SpinWait.SpinUntil(condition, TimeSpan.FromSeconds(30)));
}
