using System.Text;
using System.Text.RegularExpressions;
using Dbt.Cli;
using Dbt.Cli.Config;
using Dbt.Cli.Guests;
using Dbt.Cli.Running;
using Dbt.Cli.Terminal;
using Dbt.Translator;

namespace Dbt.Tests.Packages;

/// <summary>
/// Debian's own i386 kernel, unmodified, by PVH: to a shell prompt and off again. The interpreter alone by default; with
/// DBT_PVH_ENGINES set (to names with commas between them) those engines too, whose output must be the same but for times.
/// </summary>
public sealed partial class DebianKernelTests : IDisposable
{
    private const string Commands = "uname -sm\ncat /proc/cmdline\npoweroff -f\n";

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(10);

    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-debian").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [RequiresPackageFact(DebianFiles.Kernel, DebianFiles.Busybox)]
    public async Task ItBootsToAShell()
    {
        string first = await Boot(EngineKind.Interpreter);
        Assert.Contains("Booting kernel on Xen PVH", first, StringComparison.Ordinal);
        Assert.Contains("\nLinux i686\n", first, StringComparison.Ordinal);
        Assert.Contains("reboot: System halted", first, StringComparison.Ordinal);
        foreach (string name in (Environment.GetEnvironmentVariable("DBT_PVH_ENGINES") ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            Assert.Equal(Steady(first), Steady(await Boot(Enum.Parse<EngineKind>(name, ignoreCase: true))));
        }
    }

    private async Task<string> Boot(EngineKind engine)
    {
        string ramdisk = Path.Combine(_folder, "initramfs");
        await File.WriteAllBytesAsync(ramdisk, Ramdisk());
        GuestConfig config = GuestConfigReader.Read(null,
            [$"kernel={DebianFiles.PathOf(DebianFiles.Kernel)}", $"ramdisk={ramdisk}", "name=debian", "memory=128",
                "cmdline=console=hvc0 mitigations=off noisapnp cryptomgr.notests"]);
        var output = new MemoryStream();
        var errors = new StringWriter();
        using var runner = new GuestRunner(
            config,
            new RunOptions { Engine = engine, Timeout = Limit },
            output,
            TextWriter.Synchronized(errors),
            _ => new InputPump(new MemoryStream(Encoding.ASCII.GetBytes(Commands)), onEscape: null));
        int status = await runner.RunAsync();
        string text = Encoding.Latin1.GetString(output.ToArray()).Replace("\r", "", StringComparison.Ordinal);
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
