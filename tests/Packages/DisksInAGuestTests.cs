using System.IO.Pipes;
using System.Text;
using Dbt.Devices;
using Dbt.Devices.Block;
using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Builder;

namespace Dbt.Tests.Packages;

/// <summary>Disks of all kinds as Debian's own driver sees them, with two processors, two queues and rings of four pages; and disks that come and go.</summary>
public sealed class DisksInAGuestTests : IDisposable
{
    // The kernel names a disk in /dev a moment before it can be opened, so the script waits for the mount and not for the name.
    private const string Script = """
        for d in xvda xvdb xvdc; do
            q=/sys/block/$d
            echo "MARK $d size $(cat $q/size) ro $(cat $q/ro) removable $(cat $q/removable) sector $(cat $q/queue/logical_block_size) $(cat $q/queue/physical_block_size) discard $(cat $q/queue/discard_granularity) $(cat $q/queue/write_cache)"
        done
        echo "MARK xvdb $(dd if=/dev/xvdb bs=4096 count=16 iflag=direct 2>/dev/null | md5sum)"
        dd if=/dev/zero of=/dev/xvdc bs=4096 count=1 2>/dev/null || echo "MARK read-only"
        mount -t ext4 /dev/xvda /mnt
        dd if=/dev/zero of=/mnt/big bs=64k count=128 conv=fsync 2>/dev/null
        read line
        rm /mnt/big
        sync
        fstrim /mnt
        umount /mnt
        echo "MARK trimmed"
        until mount -t ext4 /dev/xvde /mnt 2>/dev/null; do usleep 20000; done
        echo kept >/mnt/file && umount /mnt && echo "MARK used"
        while [ -e /sys/block/xvde ]; do usleep 20000; done
        echo "MARK gone"
        until mount -t ext4 -o ro /dev/xvde /mnt 2>/dev/null; do usleep 20000; done
        echo "MARK again $(cat /mnt/file)"
        while [ $(cat /sys/block/xvde/size) != 65536 ]; do usleep 20000; done
        echo "MARK grown"
        while [ -e /sys/block/xvde ]; do usleep 20000; done
        echo "MARK removed"
        """;

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(1);

    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-disks").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [RequiresPackageFact(DiskGuest.Kernel, DiskGuest.Busybox, "tool:mke2fs", "tool:du", "tool:truncate")]
    public async Task DebiansDriverWorksWithThem()
    {
        string root = Make("root.img", 16), hot = Make("hot.img", 16), data = Path.Combine(_folder, "data.img");
        var bytes = new byte[1 << 20];
        new Random(1).NextBytes(bytes);
        await File.WriteAllBytesAsync(data, bytes);
        string sum = Convert.ToHexStringLower(System.Security.Cryptography.MD5.HashData(bytes.AsSpan(0, 65536)));

        int granularity = Granularity(root);

        using var machine = new Hypervisor();
        Domain domain = machine.CreateDomain("disks", new EngineOptions { Kind = EngineKind.Interpreter });
        DomainBuilder.Build(domain, DomainBuilder.Prepare(new BuildRequest
        {
            Kernel = await File.ReadAllBytesAsync(DebianFiles.PathOf(DiskGuest.Kernel)),
            Ramdisk = ScriptGuest.Ramdisk(Script, ["xen-blkfront", "ext4"], "max_ring_page_order=2"),
            CommandLine = "console=hvc0 quiet mitigations=off noisapnp cryptomgr.notests",
            MemoryMiB = 192,
            Vcpus = 2,
        }));
        using var output = new AnonymousPipeServerStream(PipeDirection.Out);
        using var input = new AnonymousPipeServerStream(PipeDirection.Out);
        using var reader = new StreamReader(new AnonymousPipeClientStream(PipeDirection.In, output.ClientSafePipeHandle), Encoding.Latin1);
        using var keys = new AnonymousPipeClientStream(PipeDirection.In, input.ClientSafePipeHandle);
        using DeviceHost host = DeviceHost.Attach(domain, new DeviceConfiguration
        {
            ConsoleOutput = output,
            ConsoleInput = keys,
            Disks =
            [
                Disk(root, "xvda"),
                Disk(data, "xvdb") with { SectorSize = 4096, ReadOnly = true },
                Disk(data, "xvdc") with { ReadOnly = true, PersistentGrants = false },
            ],
        });
        var said = new StringBuilder();
        async Task<string> Next()
        {
            while (true)
            {
                Task<string?> read = reader.ReadLineAsync();
                if (await Task.WhenAny(read, domain.Stopped, Task.Delay(Limit)) != read || await read is not string line)
                {
                    throw new EndOfStreamException($"the guest says no more: {said}{string.Join('\n', domain.Log.Lines)}");
                }

                said.AppendLine(line);
                if (line.StartsWith("MARK ", StringComparison.Ordinal))
                {
                    return line[5..].TrimEnd();
                }
            }
        }

        domain.Vcpus[0].Start();
        try
        {
            Assert.Equal($"xvda size 32768 ro 0 removable 0 sector 512 512 discard {granularity} write back", await Next());
            Assert.Equal("xvdb size 2048 ro 1 removable 0 sector 4096 4096 discard 0 write back", await Next());
            Assert.Equal("xvdc size 2048 ro 1 removable 0 sector 512 512 discard 0 write back", await Next());
            Assert.Equal(("2", "2"), (Front(host, domain, 51712, "multi-queue-num-queues"), Front(host, domain, 51712, "ring-page-order")));
            Assert.Equal($"xvdb {sum}  -", await Next());
            Assert.Equal("read-only", await Next());
            input.Write("go\n"u8);
            Assert.Equal("trimmed", await Next());
            Assert.InRange(Allocated(root), 0, 6 << 10);

            host.AttachDisk(Disk(hot, "xvde"));
            Assert.Equal("used", await Next());
            host.DetachDisk("xvde", force: false);
            Assert.Equal("gone", await Next());
            Assert.Equal(3, host.Disks.Count);
            host.AttachDisk(Disk(hot, "xvde"));
            Assert.Equal("again kept", await Next());
            Assert.Equal((0, ""), DiskGuest.Run("truncate", "-s", "32M", hot));
            Assert.Equal(32ul << 20, host.ResizeDisk("xvde"));
            Assert.Equal("grown", await Next());
            host.DetachDisk("xvde", force: true); // mounted
            Assert.Equal("removed", await Next());
            Assert.Equal(ShutdownReason.Poweroff, await domain.Stopped);
        }
        finally
        {
            domain.Shutdown(ShutdownReason.Poweroff);
            foreach (Vcpu vcpu in domain.Vcpus)
            {
                vcpu.Stop();
            }

            input.Dispose();
        }
    }

    private static DiskConfiguration Disk(string path, string name) => new(path, VirtualDevice.Parse(name)) { IsSurelyRaw = true };

    private static string? Front(DeviceHost host, Domain domain, int number, string node) =>
        host.Store.Read($"/local/domain/{domain.Id}/device/vbd/{number}/{node}");

    private static int Granularity(string image)
    {
        using var opened = RawImage.Open(image, readOnly: false);
        return opened.DiscardGranularity;
    }

    // Kibibytes that the host has given the file.
    private static int Allocated(string image)
    {
        string said = Encoding.ASCII.GetString(Dbt.Tests.Xen.Builder.Tool.Filter("du", $"-k {image}", []));
        return int.Parse(said.Split('\t')[0], System.Globalization.CultureInfo.InvariantCulture);
    }

    private string Make(string name, int mebibytes)
    {
        string path = Path.Combine(_folder, name);
        DiskGuest.MakeFileSystem(path, mebibytes);
        return path;
    }
}
