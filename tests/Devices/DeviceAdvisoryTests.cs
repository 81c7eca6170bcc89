
namespace Dbt.Tests.Devices;

/// <summary>Xen's advisories on back ends, with a disk's as the example; tests/Devices/Network/VifHostileTests has the network's.</summary>
public sealed class DeviceAdvisoryTests
{
    private const byte Read = 0, Write = 1;

    [Fact]
    public void XSA_155_a_request_that_changes_while_it_is_looked_at_is_one_request_or_the_other()
    {
        // Where on the disk and where in the page change all the time. Whatever is done is one of the two, and nothing beyond.
        using var driver = new BlockDriver(new FakeDisk(64) { HasAtHand = true });
        driver.Connect();
        (uint reference, FakePage page) = driver.Buffer();
        bool done = false;
        FakePage ring = driver.Ring[0];
        var scribbler = new Thread(() =>
        {
            while (!Volatile.Read(ref done))
            {
                for (int entry = 0; entry < 32; entry++)
                {
                    int at = 64 + (entry * 108);
                    ring.Bytes[at + 12] ^= 0x81; // sector: within the disk, or not
                    ring.Bytes[at + 24] ^= 9; // first sector: within the page, or not
                    ring.Bytes[at + 25] ^= 0xF8;
                }
            }
        });
        scribbler.Start();
        for (ulong i = 0; i < 2000; i++)
        {
            driver.Put(Read, i, 1, (reference, 0, 7));
            driver.Kick();
            (ulong id, _, short status) = driver.Wait();
            Assert.Equal(i, id);
            Assert.True(status is 0 or -1, $"status {status}");
        }

        Volatile.Write(ref done, true);
        Assert.True(scribbler.Join(TimeSpan.FromSeconds(60)));
        Assert.All(page.Written, static written => Assert.InRange(written.Offset + written.Length, 1, 4096));
        Assert.Equal("4", driver.BackState);
    }

    [Fact]
    public void XSA_57_the_back_ends_nodes_are_not_the_guests_to_write()
    {
        using var driver = new BlockDriver(new FakeDisk(64));
        foreach (string node in (string[])["params", "mode", "sectors", "state", "feature-discard", "frontend"])
        {
            Assert.Equal("!EACCES", driver.Guest.Write($"{BlockDriver.Back}/{node}", "1"));
            Assert.Equal("!EACCES", driver.Guest.Remove($"{BlockDriver.Back}/{node}"));
        }

        Assert.Equal("!EACCES", driver.Guest.Write(BlockDriver.Back + "/new", "1"));
        Assert.Equal("!EACCES", driver.Guest.Call(Dbt.Devices.Store.StoreMessageType.SetPermissions, BlockDriver.Back + "\0b1\0"));
    }

    [Fact]
    public void XSA_175_where_the_frontend_says_its_back_end_is_leads_nobody_astray()
    {
        using var driver = new BlockDriver(new FakeDisk(64));
        driver.Store.Write("/local/domain/0/backend/vbd/2/51712/params", "/another/disk");
        driver.Guest.Write(BlockDriver.Front + "/backend", "/local/domain/0/backend/vbd/2/51712");
        driver.Guest.Write(BlockDriver.Front + "/backend-id", "7");
        driver.Guest.Write(BlockDriver.Front + "/virtual-device", "1");
        driver.Connect();
        Assert.Equal("4", driver.BackState);
        (uint reference, FakePage page) = driver.Buffer();
        Assert.Equal(0, driver.Do(Read, 3, (reference, 0, 0)));
        Assert.Equal(driver.Disk.Contents.AsSpan(3 * 512, 512), page.Bytes[..512]);
        Assert.Equal("/another/disk", driver.Store.Read("/local/domain/0/backend/vbd/2/51712/params"));
    }

    [Fact]
    public void XSA_178_a_frontend_that_calls_itself_writable_has_a_disk_that_is_not()
    {
        var disk = new FakeDisk(64) { IsReadOnly = true };
        byte[] before = [.. disk.Contents];
        using var driver = new BlockDriver(disk);
        driver.Guest.Write(BlockDriver.Front + "/mode", "w");
        driver.Guest.Write(BlockDriver.Front + "/device-type", "disk");
        driver.Connect();
        (uint reference, FakePage page) = driver.Buffer();
        page.Bytes.Fill(0x77);
        Assert.Equal(-1, driver.Do(Write, 0, (reference, 0, 7)));
        Assert.Equal(before, disk.Contents);
    }
}
