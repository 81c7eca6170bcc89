using System.Text;
using Dbt.Tests.Cli.Hosting;
using Dbt.Tests.Xen.Cores;

namespace Dbt.Tests.Packages;

/// <summary>Debian's own kernel (PVH, two processors) finds no root and panics: its core is what a debugger would want.</summary>
public sealed class DebianCoreTests : IDisposable
{
    private readonly DaemonFolder _daemon = new();

    public void Dispose() => _daemon.Dispose();

    [RequiresPackageFact(DebianFiles.Kernel)]
    public void ItsPanicLeavesACore()
    {
        _daemon.Do("create", "name=deb", $"kernel={DebianFiles.PathOf(DebianFiles.Kernel)}", "memory=128", "vcpus=2", "cmdline=console=hvc0 mitigations=off noisapnp cryptomgr.notests",
            "on_crash=coredump-destroy");
        DaemonFolder.Await(() => _daemon.Log.Contains("deb has ended", StringComparison.Ordinal), () => _daemon.Log);
        byte[] file = File.ReadAllBytes(Assert.Single(Directory.GetFiles(Path.Combine(_daemon.Path, "dbt", "dump"))));
        var core = new CoreReader(file);
        Assert.Equal((0xF00FEBEEul, 2), (core.Magic, core.Vcpus));
        Assert.True(file.AsSpan().IndexOf(Encoding.ASCII.GetBytes("Linux version 6.")) > 0, "the kernel's banner is not in it");
        Assert.True(file.AsSpan().IndexOf("Kernel panic - not syncing: VFS: Unable to mount root fs"u8) > 0, "what it said last is not in it");

        // Who panicked called the hypervisor, behind whose call (VMMCALL or VMCALL) it stands.
        bool[] called = [.. Enumerable.Range(0, 2).Select(vcpu => core.AtLinear(vcpu, core.Eip(vcpu) - 3)[..3] is [0x0F, 0x01, 0xD9 or 0xC1])];
        Assert.Contains(true, called);
    }
}
