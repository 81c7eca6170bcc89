using System.Text.RegularExpressions;
using Dbt.Cli;
using Dbt.Cli.Config;
using Dbt.Cli.Guests;
using Dbt.Translator;

namespace Dbt.Tests.Packages;

/// <summary>
/// Debian's own i386 kernel, unmodified, by PVH and without a disk: to a shell prompt and off again. With DBT_PVH_ENGINES set (to names
/// with commas between them), by the interpreter and by those engines, whose output must be the same but for times. Without it
/// <see cref="DebianGuestTests"/> boot the kernel.
/// </summary>
public sealed partial class DebianKernelTests : IDisposable
{
    private const string Engines = "DBT_PVH_ENGINES";
    private const string Commands = "uname -sm\ncat /proc/cmdline\npoweroff -f\n";

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(10);

    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-debian").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [RequiresPackageFact("variable:" + Engines, DebianFiles.Kernel, DebianFiles.Busybox)]
    public async Task ItBootsToAShell()
    {
        string first = await Boot(EngineKind.Interpreter);
        Assert.Contains("Booting kernel on Xen PVH", first, StringComparison.Ordinal);
        Assert.Contains("\nLinux i686\n", first, StringComparison.Ordinal);
        Assert.Contains("reboot: System halted", first, StringComparison.Ordinal);
        foreach (string name in (Environment.GetEnvironmentVariable(Engines) ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            Assert.Equal(Steady(first), Steady(await Boot(Enum.Parse<EngineKind>(name, ignoreCase: true))));
        }
    }

    /// <summary>Event channels by queues, which this kernel takes where they are offered, and by two levels of bits where it is told to; two processors.</summary>
    [RequiresPackageTheory(DebianFiles.Kernel, DebianFiles.Busybox)]
    [InlineData("", "Using FIFO-based ABI")]
    [InlineData("xen.fifo_events=0", "Using 2-level ABI")]
    public async Task ItUsesEitherAbiOfEventChannels(string option, string says)
    {
        string[] names = Environment.GetEnvironmentVariable(Engines)?.Split(',', StringSplitOptions.RemoveEmptyEntries) is { Length: > 0 } given ? given : ["tiered"];
        foreach (string name in names)
        {
            string text = await Boot(Enum.Parse<EngineKind>(name, ignoreCase: true), option, "vcpus=2");
            Assert.Contains(says, text, StringComparison.Ordinal);
            Assert.Contains("\nLinux i686\n", text, StringComparison.Ordinal);
            Assert.Contains("Brought up 1 node, 2 CPUs", text, StringComparison.Ordinal);
            Assert.Contains("reboot: System halted", text, StringComparison.Ordinal);
        }
    }

    private async Task<string> Boot(EngineKind engine, string options = "", params string[] settings)
    {
        string ramdisk = Path.Combine(_folder, "initramfs");
        await File.WriteAllBytesAsync(ramdisk, Ramdisk());
        GuestConfig config = GuestConfigReader.Read(null,
            [$"kernel={DebianFiles.PathOf(DebianFiles.Kernel)}", $"ramdisk={ramdisk}", "name=debian", "memory=128",
                $"cmdline=console=hvc0 mitigations=off noisapnp cryptomgr.notests {options}", .. settings]);
        (int status, string text, string errors) = await GuestRun.RunAsync(config, engine, Commands, Limit);
        Assert.True(status == ExitStatus.Success, $"status {status}: {errors}\n{text}");
        return text;
    }

    // No disk, so no modules: a shell at once.
    private static byte[] Ramdisk()
    {
        string kernel = DebianFiles.PathOf(DebianFiles.Kernel);
        string version = Path.GetFileName(kernel)["vmlinuz-".Length..];
        var modules = new ModuleTree(Path.Combine(Path.GetDirectoryName(kernel)!, "..", "lib", "modules", version));
        return Initramfs.Make(File.ReadAllBytes(DebianFiles.PathOf(DebianFiles.Busybox)), modules, version);
    }

    /// <summary>
    /// The console without what is a matter of time: stamps, rates, and where what was typed is echoed. Lines are put in order, as the
    /// kernel's threads write when they get to it.
    /// </summary>
    private static string Steady(string console)
    {
        IEnumerable<string> lines = console.Split('\n').Select(line => Stamp().Replace(Times().Replace(line, "T"), "")).Where(line => !Unsteady().IsMatch(line));
        return string.Join('\n', lines.Order(StringComparer.Ordinal));
    }

    [GeneratedRegex(@"^\[ *\d+\.\d+\] ")]
    private static partial Regex Stamp();

    [GeneratedRegex(@"\d+(\.\d+)? ?(ms|us|ns|MB/s)\b|audit\([\d.:]+\)|\d+ (jiffies|ns)")]
    private static partial Regex Times();

    [GeneratedRegex(@"hrtimer: interrupt took|raid6|random: |clocksource|sched_clock|audit: type=|^$|\x1B|prompt#|rtc|uname|cat /proc|poweroff|cmdline")]
    private static partial Regex Unsteady();
}
