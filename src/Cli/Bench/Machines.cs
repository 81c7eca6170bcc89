using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using Dbt.Cli.Config;
using Dbt.Cli.Packages;
using Dbt.Cli.Running;

namespace Dbt.Cli.Bench;

/// <summary>How the machines are started that the benchmark can run on.</summary>
internal static class Machines
{
    private const string Runtime = "dotnet", QemuProgram = "qemu-system-i386";
    private const int MemoryMiB = 1024;
    private const string CommandLine = "quiet loglevel=1 mitigations=off norandmaps noisapnp cryptomgr.notests initcall_blacklist=trace_eval_init rdinit=/init";

    // What our guests' CPUID doesn't announce (docs/CPUID.md).
    private const string QemuCpu = "max,-avx,-avx2,-fma,-f16c,-xsave,-xsaveopt,-xsavec,-xgetbv1,-vaes,-vpclmulqdq,-sha-ni,-smap,-smep,-fsrm";

    private static readonly string[] Engines = ["interpreter", "quick", "optimized", MachineCommand.Windowed, MachineCommand.Checked];

    /// <summary>The words of --against, checked.</summary>
    /// <exception cref="ConfigException">One of them is unknown, or isn't installed.</exception>
    public static IReadOnlyList<string> Parse(IEnumerable<string> words)
    {
        string[] names = [.. words.SelectMany(word => word.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)).Where(name => name != MachineCommand.Tiered).Distinct()];
        if (Array.Find(names, name => name != MachineCommand.Qemu && !Engines.Contains(name)) is string unknown)
        {
            throw new ConfigException($"--against: '{unknown}' is none of {string.Join(", ", Engines)}, {MachineCommand.Qemu}");
        }

        return names.Contains(MachineCommand.Qemu) && HostTool.Find(QemuProgram) is null
            ? throw new ConfigException($"--against: {MachineCommand.Qemu}: this machine has no {QemuProgram} (Debian: apt-get install qemu-system-x86)")
            : names;
    }

    /// <summary>Why this host can't run the programs of a folder; null where it can.</summary>
    public static string? WhyNotNative(string tree)
    {
        // Statically linked: nothing but the kernel can be in its way.
        MachineCommand probe = new("probe", Path.Combine(tree, "usr", "bin", "busybox"), ["true"]);
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(probe.Program, probe.Arguments))!;
            process.WaitForExit();
        }
        catch (Win32Exception exception)
        {
            return $"this host's kernel can't run them: {Marshal.GetPInvokeErrorMessage(exception.NativeErrorCode)}";
        }

        ToolResult enter = HostTool.Run(new ToolCall("unshare", [.. Unshare, "true"]));
        return enter.Status == 0 ? null : $"this user may not make a mount namespace: {enter.Complaint}";
    }

    /// <summary>Programs of a folder on the host itself, the folder being their root.</summary>
    public static MachineCommand Native(string tree, string bench)
    {
        const string enter = "mount --rbind /dev \"$0/dev\" && mount --rbind /proc \"$0/proc\" && mount -t tmpfs tmpfs \"$0/tmp\" && mkdir -p \"$0/bench\" "
            + "&& mount --bind \"$1\" \"$0/bench\" && exec chroot \"$0\" /bin/bash /bench/agent";
        return new MachineCommand(MachineCommand.Native, "unshare", [.. Unshare, "sh", "-c", enter, tree, bench], IsNative: true);
    }

    /// <summary>One of our engines, in a process of its own.</summary>
    public static MachineCommand Engine(string name, string kernel, string ramdisk)
    {
        string? windows = name switch { MachineCommand.Windowed => "settled", MachineCommand.Checked => "never", _ => null };
        string engine = windows is null ? name : MachineCommand.Tiered;
        string self = Environment.ProcessPath ?? "", library = typeof(Machines).Assembly.Location;
        bool isProgram = Path.GetFileName(self) == Path.GetFileNameWithoutExtension(library);
        return new MachineCommand(
            name,
            isProgram || Path.GetFileName(self) == Runtime ? self : Runtime,
            [
                .. isProgram ? Array.Empty<string>() : [library],
                "run", "--engine", engine, "--hang-after", "0", "--no-code-cache", $"name=bench-{name}", "type=pvh", $"kernel={kernel}", $"ramdisk={ramdisk}", $"memory={MemoryMiB}",
                $"cmdline=console=hvc0 {CommandLine}",
            ])
        {
            Environment = windows is null ? new Dictionary<string, string>() : new Dictionary<string, string> { [WindowSetting.Variable] = windows },
        };
    }

    /// <summary>QEMU without acceleration: the same kernel and initramfs, and no device but the serial port.</summary>
    /// <param name="elf">The kernel, not packed: QEMU enters a plain ELF file by PVH.</param>
    /// <param name="ramdisk">The initramfs.</param>
    public static MachineCommand OnQemu(string elf, string ramdisk) => new(
        MachineCommand.Qemu,
        HostTool.Find(QemuProgram)!,
        [
            // ACPI off: QEMU 7.2's microvm then has the interrupt timer that this kernel can calibrate its clock with.
            "-M", "microvm,acpi=off", "-accel", "tcg", "-cpu", QemuCpu + Vendor(), "-m", $"{MemoryMiB}", "-nodefaults", "-no-user-config", "-display", "none",
            "-serial", "stdio", "-no-reboot", "-kernel", elf, "-initrd", ramdisk, "-append", $"console=ttyS0 {CommandLine}",
        ]);

    // Root needs no user namespace, which some hosts don't allow.
    private static string[] Unshare => Environment.IsPrivilegedProcess ? ["--mount"] : ["--user", "--map-root-user", "--mount"];

    // Libraries choose by vendor too, and our guests have the host's.
    private static string Vendor()
    {
        string? line = File.Exists("/proc/cpuinfo") ? File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("vendor_id", StringComparison.Ordinal)) : null;
        return line is null ? "" : $",vendor={line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim()}";
    }
}
