using Dbt.Tests.Cli.Hosting;

namespace Dbt.Tests.Packages;

/// <summary>Debian (PVH) with a disk and a network is saved and cloned: each clone has its own memory, disk and network, and the image stays as it was.</summary>
public sealed class DebianCloneTests : IDisposable
{
    private readonly DaemonFolder _daemon = new();

    public void Dispose() => _daemon.Dispose();

    [RequiresDebianGuestTheory]
    [InlineData("live")]
    [InlineData("suspended")]
    public void ClonesWriteTheirDisksAndTalkToTheHost(string kind)
    {
        string image = TestGuest.Small.CopyImage(_daemon.Path), saved = Path.Combine(_daemon.Path, "deb.dbt"), configuration = Path.Combine(_daemon.Path, "deb.cfg");
        File.WriteAllText(configuration, TestGuest.Small.ConfigurationText(image));
        _daemon.Do("create", configuration, "name=deb");
        using (DaemonFolder.RunningCommand console = _daemon.Start("console", "deb"))
        {
            console.Await("# ");
            console.Type("network-wait; mount -o remount,ro /; echo ready $((6*7))\n");
            console.Await("\nready 42");
        }

        _daemon.Do("save", "--kind", kind, "deb", saved);
        byte[] before = File.ReadAllBytes(image);
        _daemon.Do("clone", "-n", "3", saved);
        for (int i = 1; i <= 3; i++)
        {
            using DaemonFolder.RunningCommand console = _daemon.Start("console", $"deb-clone{i}");
            console.Type($"\nmount -o remount,rw / && echo clone {i} > /root/which && sync && echo written $((6*7))\n");
            console.Await("\nwritten 42");
        }

        for (int i = 1; i <= 3; i++)
        {
            using DaemonFolder.RunningCommand console = _daemon.Start("console", $"deb-clone{i}");
            console.Type("\necho 3 > /proc/sys/vm/drop_caches; cat /root/which; ping -c 2 10.0.2.2; echo done $((6*7))\n");
            console.Await("\ndone 42");
            Assert.Contains($"\nclone {i}\r", console.Text, StringComparison.Ordinal);
            Assert.Contains("2 packets transmitted, 2 packets received", console.Text, StringComparison.Ordinal);
            console.Type("poweroff\n");
            Assert.Equal(0, console.End());
        }

        Assert.Equal(before, File.ReadAllBytes(image));
        Assert.DoesNotContain("Exception", _daemon.Log, StringComparison.Ordinal);
    }
}
