using System.CommandLine;
using System.Diagnostics;

namespace Dbt.Perf.Boot;

/// <summary>
/// <c>boot</c>: the same kernel and initial RAM disk to the shell prompt on QEMU without acceleration and on our engines, in turn, and what
/// processor time each takes.
/// </summary>
internal static class BootCommand
{
    /// <summary>Runs it.</summary>
    /// <returns>An exit status.</returns>
    public static async Task<int> RunAsync(string[] words)
    {
        var kernel = new Option<string?>("--kernel") { Description = "An i386 kernel with a PVH entry" };
        var ramdisk = new Option<string?>("--initrd") { Description = "Its initial RAM disk, which ends at a shell prompt" };
        var commandLine = new Option<string>("--cmdline")
        {
            Description = "The kernel's parameters but for console=",
            DefaultValueFactory = _ => "mitigations=off noisapnp cryptomgr.notests",
        };
        var engines = new Option<string>("--engines") { Description = "Engines, with commas between", DefaultValueFactory = _ => "tiered,interpreter" };
        var packed = new Option<bool>("--packed") { Description = "Also give our engines the kernel packed as it is; QEMU takes it unpacked only" };
        var warm = new Option<int>("--warm") { Description = "Also start our engines with the code that so many boots before have left in the cache", DefaultValueFactory = _ => 0 };
        var rounds = new Option<int>("--rounds") { Description = "Boots of each", DefaultValueFactory = _ => 3 };
        var memory = new Option<int>("--memory") { Description = "MiB", DefaultValueFactory = _ => 256 };
        var prompt = new Option<string>("--prompt") { Description = "What the console shows last when the shell waits", DefaultValueFactory = _ => "# " };
        var limit = new Option<int>("--limit") { Description = "Seconds until a boot has failed", DefaultValueFactory = _ => 300 };
        var dbt = new Option<string?>("--dbt") { Description = "The command; by default the script of the tree that this was built from" };
        var root = new RootCommand("Boots one kernel on QEMU (TCG) and on dbt's engines, to the prompt.")
        {
            kernel, ramdisk, commandLine, engines, packed, warm, rounds, memory, prompt, limit, dbt,
        };
        root.SetAction(result => Compare(new BootSettings
        {
            Kernel = result.GetValue(kernel) ?? throw new BootFailure("--kernel FILE is needed: an i386 kernel with a PVH entry, say /boot/vmlinuz of Debian's linux-image-686-pae (apt-get download, dpkg-deb -x)."),
            Ramdisk = result.GetValue(ramdisk) ?? throw new BootFailure("--initrd FILE is needed: an initial RAM disk that comes to a shell prompt without a disk, say busybox with an /init that starts sh."),
            CommandLine = result.GetValue(commandLine)!,
            Engines = result.GetValue(engines)!.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries),
            Packed = result.GetValue(packed),
            WarmUps = result.GetValue(warm),
            Rounds = result.GetValue(rounds),
            MemoryMiB = result.GetValue(memory),
            Prompt = result.GetValue(prompt)!,
            Limit = TimeSpan.FromSeconds(result.GetValue(limit)),
            Dbt = result.GetValue(dbt) ?? FindScript(),
        }));
        try
        {
            return await root.Parse(words).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (BootFailure failure)
        {
            Console.Error.WriteLine($"perf: {failure.Message}");
            return 1;
        }
    }

    private static void Compare(BootSettings settings)
    {
        foreach (string file in (ReadOnlySpan<string>)[settings.Kernel, settings.Ramdisk])
        {
            if (!File.Exists(file))
            {
                throw new BootFailure($"{file}: no such file.");
            }
        }

        // Builds what is out of date before anything is measured.
        using (Process build = Process.Start(new ProcessStartInfo(settings.Dbt, ["version"]) { RedirectStandardOutput = true })!)
        {
            build.WaitForExit();
        }

        string scratch = Directory.CreateTempSubdirectory("dbt-perf").FullName;
        try
        {
            BootRun[] runs = [.. new BootMachines(settings, scratch).All()];
            var times = runs.ToDictionary(run => run.Name, _ => new List<BootTime>());
            for (int round = 0; round < settings.Rounds; round++)
            {
                foreach (BootRun run in runs)
                {
                    BootTime time = run.Run(settings.Prompt, settings.Limit);
                    times[run.Name].Add(time);
                    Console.WriteLine($"round {round + 1}: {run.Name,-30} {time.CpuSeconds,7:F2} s CPU {time.WallSeconds,7:F2} s elapsed");
                }
            }

            new BootTable(runs[0].Name, times).Write(Console.Out);
        }
        finally
        {
            Directory.Delete(scratch, recursive: true);
        }
    }

    /// <summary>The tree's own command.</summary>
    internal static string FindScript()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string script = Path.Combine(folder.FullName, "dbt");
            if (File.Exists(Path.Combine(folder.FullName, "Dbt.sln")) && File.Exists(script))
            {
                return script;
            }
        }

        throw new BootFailure("the tree's dbt script was not found; name it with --dbt.");
    }
}
