using CsCheck;

namespace Dbt.Tests.Devices;

/// <summary>Requests on a disk's ring, good and hostile.</summary>
public sealed class BlockRingTests
{
    private const byte Read = 0, Write = 1, Barrier = 2, Flush = 3;

    [Theory]
    [InlineData(false, 1)]
    [InlineData(true, 1)]
    [InlineData(false, 4)]
    [InlineData(true, 16)]
    public void ReadsAndWrites(bool wide, int pages)
    {
        var disk = new FakeDisk(256);
        using var driver = new BlockDriver(disk, wide);
        driver.Connect(pages);
        Assert.Equal("4", driver.BackState);
        (uint a, FakePage pageA) = driver.Buffer();
        (uint b, FakePage pageB) = driver.Buffer();
        for (ulong round = 0; round < (ulong)(driver.Entries * 3); round++)
        {
            ulong sector = round % 200;
            Assert.Equal(0, driver.Do(Read, sector, (a, 0, 7), (b, 2, 3)));
            Assert.Equal(disk.Contents.AsSpan((int)sector * 512, 4096), pageA.Bytes);
            Assert.Equal(disk.Contents.AsSpan(((int)sector + 8) * 512, 1024), pageB.Bytes[1024..2048]);
            Assert.Equal((0, 4096), pageA.Written[^1]);
            Assert.Equal((1024, 1024), pageB.Written[^1]);
        }

        pageA.Bytes.Fill(0x5A);
        Assert.Equal(0, driver.Do(Write, 255, (a, 7, 7)));
        Assert.Equal(0x5A, disk.Contents[255 * 512]);
        Assert.Equal(1, driver.Frontend.Mapped - driver.Ring.Count + 1);
    }

    [Fact]
    public void ManyRequestsOneEvent()
    {
        using var driver = new BlockDriver(new FakeDisk(256) { HasAtHand = true });
        driver.Connect();
        (uint reference, _) = driver.Buffer();
        for (ulong i = 0; i < 32; i++)
        {
            driver.Put(Read, i, i, (reference, 0, 7));
        }

        driver.Kick();
        for (ulong i = 0; i < 32; i++)
        {
            Assert.Equal((i, Read, (short)0), driver.Wait());
        }
    }

    [Fact]
    public void FlushesAndBarriersReachTheHost()
    {
        var disk = new FakeDisk(64);
        using var driver = new BlockDriver(disk);
        driver.Connect();
        (uint reference, FakePage page) = driver.Buffer();
        Assert.Equal(0, driver.Do(Flush, 0));
        Assert.Equal(1, disk.Flushes);
        page.Bytes.Fill(7);
        Assert.Equal(0, driver.Do(Barrier, 3, (reference, 0, 0)));
        Assert.Equal(3, disk.Flushes);
        Assert.Equal(7, disk.Contents[3 * 512]);
        Assert.Equal(0, driver.Do(Flush, 4, (reference, 0, 0)));
        Assert.Equal(7, disk.Contents[4 * 512]);
    }

    [Fact]
    public void Discards()
    {
        var disk = new FakeDisk(64);
        using var driver = new BlockDriver(disk);
        driver.Connect();
        short Discard(ulong sector, ulong count)
        {
            driver.PutDiscard(1, sector, count);
            driver.Kick();
            return driver.Wait().Status;
        }

        Assert.Equal(0, Discard(1, 2));
        Assert.All(disk.Contents[512..1536], static value => Assert.Equal(0, value));
        Assert.Equal(-1, Discard(63, 2));
        Assert.Equal(-1, Discard(ulong.MaxValue, 2));
        Assert.Equal(-1, Discard(2, ulong.MaxValue));
        Assert.Equal(0, Discard(64, 0));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void IndirectRequestsCarryManySegments(bool wide)
    {
        var disk = new FakeDisk(1024);
        using var driver = new BlockDriver(disk, wide);
        driver.Connect();
        (uint list, FakePage listPage) = driver.Buffer();
        var pages = new List<FakePage>();
        for (int i = 0; i < 100; i++)
        {
            (uint reference, FakePage page) = driver.Buffer();
            pages.Add(page);
            listPage[i * 8] = reference;
            listPage[(i * 8) + 4] = 7 << 8;
        }

        short Indirect(byte operation, ulong sector, ushort count, params uint[] lists)
        {
            driver.PutIndirect(operation, 9, sector, count, lists);
            driver.Kick();
            (ulong Id, byte Operation, short Status) response = driver.Wait();
            Assert.Equal((9ul, operation), (response.Id, response.Operation)); // not 6: frontends look for what was asked
            return response.Status;
        }

        Assert.Equal(0, Indirect(Read, 10, 100, list));
        for (int i = 0; i < 100; i++)
        {
            Assert.Equal(disk.Contents.AsSpan((10 + (i * 8)) * 512, 4096), pages[i].Bytes);
        }

        pages[50].Bytes.Fill(0x11);
        Assert.Equal(0, Indirect(Write, 0, 100, list));
        Assert.Equal(0x11, disk.Contents[400 * 512]);
        Assert.Equal(-1, Indirect(Read, 0, 0, list));
        Assert.Equal(-1, Indirect(Read, 0, 257, list));
        Assert.Equal(-1, Indirect(Read, 0, ushort.MaxValue, list));
        Assert.Equal(-1, Indirect(Read, 0, 10, 4242));
        Assert.Equal(-1, Indirect(Read, 1024 - 799, 100, list));
        Assert.Equal(-2, Indirect(Flush, 0, 1, list));
        Assert.Equal(-2, Indirect(6, 0, 1, list));
    }

    [Fact]
    public void BadRequestsGetErrors()
    {
        var disk = new FakeDisk(64);
        byte[] before = [.. disk.Contents];
        using var driver = new BlockDriver(disk);
        driver.Connect();
        (uint good, _) = driver.Buffer();
        (uint readOnly, _) = driver.Buffer();
        driver.Frontend.ReadOnlyGrants.Add(readOnly);
        Assert.Equal(-1, driver.Do(Read, 0));
        Assert.Equal(-1, driver.Do(Write, 0));
        Assert.Equal(-1, driver.Do(Read, 0, (good, 3, 2)));
        Assert.Equal(-1, driver.Do(Read, 0, (good, 0, 8)));
        Assert.Equal(-1, driver.Do(Write, 0, (good, 255, 255)));
        Assert.Equal(-1, driver.Do(Read, 0, (777777, 0, 7)));
        Assert.Equal(-1, driver.Do(Read, 0, (readOnly, 0, 7)));
        Assert.Equal(-1, driver.Do(Write, 57, (good, 0, 7)));
        Assert.Equal(-1, driver.Do(Write, ulong.MaxValue, (good, 0, 7)));
        Assert.Equal(-1, driver.Do(Write, ulong.MaxValue - 6, (good, 0, 7)));
        Assert.Equal(-1, driver.Do(Write, 0, (good, 0, 7), (888888, 0, 7)));
        Assert.Equal(-1, driver.Do(Write, 0, Enumerable.Repeat((good, (byte)0, (byte)0), 12).ToArray()));
        Assert.Equal(-1, driver.Do(Write, 0, Enumerable.Repeat((good, (byte)0, (byte)0), 255).ToArray()));
        Assert.Equal(-2, driver.Do(4, 0, (good, 0, 7)));
        Assert.Equal(-2, driver.Do(200, 0, (good, 0, 7)));
        Assert.Equal(before, disk.Contents);
        Assert.Equal(0, driver.Do(Write, 56, (readOnly, 0, 7)));
    }

    [Fact]
    public void AReadOnlyDiskIsNotWritten()
    {
        using var driver = new BlockDriver(new FakeDisk(64) { IsReadOnly = true });
        driver.Connect();
        (uint reference, _) = driver.Buffer();
        Assert.Equal(-1, driver.Do(Write, 0, (reference, 0, 7)));
        Assert.Equal(-1, driver.Do(Barrier, 0, (reference, 0, 7)));
        Assert.Equal(-1, driver.Do(Flush, 0, (reference, 0, 7)));
        Assert.Equal(0, driver.Do(Flush, 0));
        Assert.Equal(0, driver.Do(Read, 0, (reference, 0, 7)));
    }

    [Fact]
    public void TheHostsErrorsAreTheGuestsErrors()
    {
        var disk = new FakeDisk(64) { Fails = true };
        using var driver = new BlockDriver(disk);
        driver.Connect();
        (uint reference, _) = driver.Buffer();
        Assert.Equal(-1, driver.Do(Read, 0, (reference, 0, 7)));
        Assert.Equal(-1, driver.Do(Write, 0, (reference, 0, 7)));
        Assert.Equal(-1, driver.Do(Flush, 0));
        Assert.Contains(driver.Frontend.Log.Lines, static line => line.Contains("the host's disk is broken", StringComparison.Ordinal));
        disk.Fails = false;
        Assert.Equal(0, driver.Do(Read, 0, (reference, 0, 7)));
    }

    [Theory]
    [InlineData(33u)]
    [InlineData(0x80000000u)]
    [InlineData(0xFFFFFFFFu)]
    public void AnImpossibleIndexClosesTheDevice(uint producer)
    {
        using var driver = new BlockDriver(new FakeDisk(64));
        driver.Connect();
        driver.Ring[0][0] = producer;
        driver.Kick();
        driver.WaitForState("5");
        Assert.Equal(0, driver.Frontend.Mapped);
        driver.Guest.Write(BlockDriver.Front + "/state", "1");
        driver.Connect();
        (uint reference, _) = driver.Buffer();
        Assert.Equal(0, driver.Do(Read, 0, (reference, 0, 7)));
    }

    [Fact]
    public void SurvivesWhateverTheRingHolds() => Gen.Select(Gen.Byte.Array[32 * 112], Gen.Bool, Gen.Int[0, 2]).Sample(
        static (bytes, wide, kind) =>
        {
            using var driver = new BlockDriver(new FakeDisk(64), wide);
            driver.Connect();
            (uint reference, _) = driver.Buffer();
            for (int i = 0; i < 32; i++)
            {
                byte[] entry = bytes[(i * driver.EntrySize)..((i + 1) * driver.EntrySize)];
                if (kind > 0)
                {
                    // Near enough to a request to get further.
                    entry[0] %= 7;
                    entry[1] %= 12;
                    int at = (wide ? 16 : 12) + (kind == 1 ? 2 : 1);
                    entry.AsSpan(at, 8 - (kind == 1 ? 2 : 1)).Clear();
                    for (int s = wide ? 24 : 20; s + 8 <= entry.Length; s += 8)
                    {
                        BitConverter.TryWriteBytes(entry.AsSpan(s), entry[s] % 4 == 0 ? 1 : reference);
                        entry[s + 4] %= 8;
                        entry[s + 5] %= 9;
                    }
                }

                driver.PutRaw(entry);
            }

            driver.Kick();
            for (int i = 0; i < 32; i++)
            {
                Assert.InRange(driver.Wait().Status, -2, 0);
            }

            Assert.Equal(1, driver.Frontend.Mapped);
        },
        iter: 150);

    [Fact]
    public void WhatIsOnTheRingAtTheEndIsDone()
    {
        var disk = new FakeDisk(64);
        var driver = new BlockDriver(disk);
        driver.Connect();
        (uint reference, FakePage page) = driver.Buffer();
        page.Bytes.Fill(0x77);
        driver.Put(Write, 1, 8, (reference, 0, 7));
        driver.Dispose();
        Assert.Equal(0x77, disk.Contents[8 * 512]);
    }
}
