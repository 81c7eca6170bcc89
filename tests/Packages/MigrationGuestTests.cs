using System.Globalization;
using Dbt.Tests.Cli.Hosting;
using Dbt.Tests.Cli.Migration;
using Xunit.Abstractions;

namespace Dbt.Tests.Packages;

/// <summary>
/// Debian's own kernel (PVH, 512 MB, two processors), which writes to ext4 and checks what it reads, goes from daemon to daemon and back.
/// DBT_MIGRATIONS gives how often; twice by default.
/// </summary>
public sealed class MigrationGuestTests(ITestOutputHelper output) : IDisposable
{
    private const string Script = """
        mount -t ext4 /dev/xvda /mnt || exit
        n=1
        while true; do
            yes $n | head -c 300001 >/mnt/f
            a=$(md5sum </mnt/f)
            sync
            echo 3 >/proc/sys/vm/drop_caches
            b=$(md5sum </mnt/f)
            c=$(yes $n | head -c 300001 | md5sum)
            [ "$a" = "$b" ] && [ "$b" = "$c" ] && echo "good $n" || echo "BAD $n"
            n=$((n + 1))
        done
        """;

    private readonly DaemonPair _pair = new();

    public void Dispose() => _pair.Dispose();

    [RequiresPackageFact(ScriptGuest.Kernel, ScriptGuest.Busybox, "tool:mke2fs")]
    public void LinuxGoesToAndFroAndItsFilesStayWhole()
    {
        int times = int.Parse(Environment.GetEnvironmentVariable("DBT_MIGRATIONS") ?? "2", CultureInfo.InvariantCulture);
        string image = Path.Combine(_pair.Here.Path, "disk.img"), ramdisk = Path.Combine(_pair.Here.Path, "initramfs");
        DiskGuest.MakeFileSystem(image, 64);
        File.WriteAllBytes(ramdisk, ScriptGuest.Ramdisk(Script, ["xen-blkfront", "ext4"]));
        _pair.TrustEachOther();
        _pair.ListenBoth();
        _pair.Here.Do("create", "name=linux", "memory=512", "vcpus=2", $"kernel={DebianFiles.PathOf(ScriptGuest.Kernel)}", $"ramdisk={ramdisk}",
            "cmdline=console=hvc0 quiet mitigations=off noisapnp cryptomgr.notests", $"disk=['{image},raw,xvda,w']");
        (DaemonFolder from, DaemonFolder to) = (_pair.Here, _pair.There);
        for (int i = 0; i <= times; i++)
        {
            using (DaemonFolder.RunningCommand console = from.Start("console", "linux"))
            {
                console.Await("good ", times: 3);
                Assert.DoesNotContain("BAD", console.Text, StringComparison.Ordinal);
            }

            if (i < times)
            {
                // On a host under load it may say that the guest writes faster than it can be sent.
                (int status, string said, string errors) = from.Run("migrate", "linux", to == _pair.There ? _pair.ThereAddress : _pair.HereAddress);
                Assert.True(status == 0, errors);
                output.WriteLine(said.TrimEnd() + errors);
                (from, to) = (to, from);
            }
        }

        Assert.Equal(["linux"], from.List().Select(static row => row.Name));
        Assert.Empty(to.List());
        Assert.DoesNotContain("warning", from.Log + to.Log, StringComparison.Ordinal);
    }
}
