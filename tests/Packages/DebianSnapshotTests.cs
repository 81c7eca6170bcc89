using System.Globalization;
using Dbt.Tests.Cli.Hosting;
using Dbt.Tests.Xen.Builder;

namespace Dbt.Tests.Packages;

/// <summary>
/// Debian (PVH) with disk and network is saved and restored, live and suspended, while a loop in it writes files, reads them back from the disk, and looks
/// at its clock. <c>DBT_SNAPSHOT_CYCLES=100</c> for a long run.
/// </summary>
public sealed class DebianSnapshotTests : IDisposable
{
    private const string Checker = """
        cat > /root/check.sh <<'X'
        n=0; last=0; dd if=/dev/urandom of=/root/ref bs=64k count=4 2>/dev/null; sum=$(md5sum < /root/ref)
        while true; do n=$((n+1)); now=$(cut -d' ' -f1 /proc/uptime | tr -d .); [ $now -ge $last ] || echo "BAD time $last $now"; last=$now
        f=/root/c$((n%4)); cp /root/ref $f; sync $f; echo 1 > /proc/sys/vm/drop_caches; [ "$(md5sum < $f)" = "$sum" ] || echo "BAD sum $n"; echo "round $n"; done
        X
        dmesg -n 1; network-wait; sh /root/check.sh &

        """;

    private readonly DaemonFolder _daemon = new();

    public void Dispose() => _daemon.Dispose();

    [RequiresDebianGuestTheory]
    [InlineData("live", 1)]
    [InlineData("live", 2)]
    [InlineData("suspended", 1)]
    [InlineData("suspended", 2)]
    public void GoesOnAfterEachCycle(string kind, int vcpus)
    {
        int cycles = int.Parse(Environment.GetEnvironmentVariable("DBT_SNAPSHOT_CYCLES") ?? "2", CultureInfo.InvariantCulture);
        string image = TestGuest.Small.CopyImage(_daemon.Path), saved = Path.Combine(_daemon.Path, "deb.dbt"), configuration = Path.Combine(_daemon.Path, "deb.cfg");
        File.WriteAllText(configuration, TestGuest.Small.ConfigurationText(image, $"vcpus={vcpus}"));
        _daemon.Do("create", configuration, "name=deb");
        using (DaemonFolder.RunningCommand console = _daemon.Start("console", "deb"))
        {
            console.Await("# ");
            console.Type(Checker);
            console.Await("\nround 2");
        }

        for (int cycle = 0; cycle < cycles; cycle++)
        {
            _daemon.Do("save", "--kind", kind, "deb", saved);
            _daemon.Do("restore", saved);
            using DaemonFolder.RunningCommand console = _daemon.Start("console", "deb");
            console.Await("\nround ", times: 3);
            Assert.DoesNotContain("BAD", console.Text, StringComparison.Ordinal);
        }

        using DaemonFolder.RunningCommand last = _daemon.Start("console", "deb");
        last.Type("\nkill %1; ping -c 3 10.0.2.2; nproc; echo done $((6*7))\n");
        last.Await("\ndone 42");
        Assert.Contains("3 packets transmitted, 3 packets received", last.Text, StringComparison.Ordinal);
        Assert.Contains($"\n{vcpus}\r", last.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("BAD", last.Text, StringComparison.Ordinal);
        last.Type("poweroff\n");
        Assert.Equal(0, last.End());
        Tool.Filter("e2fsck", $"-fn {image}", []);
    }
}
