using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Dbt.Cli.Bench;
using Dbt.Cli.Guests;
using Dbt.Perf.Boot;

namespace Dbt.Perf.Migration;

/// <summary>
/// <c>migrate N</c>: a Linux guest goes to and fro between two daemons of this host, N times: for how long it was held, by the source's clock, and the
/// largest step of the clock that a program in the guest saw meanwhile.
/// </summary>
internal static partial class MigrationCommand
{
    private const string Name = "moving";

    /// <summary>Runs it.</summary>
    /// <returns>An exit status.</returns>
    public static int Run(string[] words)
    {
        var times = new Argument<int>("N") { Description = "How often it goes", DefaultValueFactory = _ => 100 };
        var kernel = new Option<string?>("--kernel") { Description = "A PVH kernel; without it that of dbt guest fetch debian" };
        var memory = new Option<int>("--memory") { Description = "MiB", DefaultValueFactory = _ => 512 };
        var dirty = new Option<int>("--dirty") { Description = "MiB that the guest writes over and over meanwhile, some 60 MiB a second", DefaultValueFactory = _ => 0 };
        var dbt = new Option<string?>("--dbt") { Description = "The command; by default the script of the tree that this was built from" };
        var root = new RootCommand("Measures the pause of live migrations between two daemons.") { times, kernel, memory, dirty, dbt };
        root.SetAction(result => Measure(
            result.GetValue(dbt) ?? BootCommand.FindScript(), result.GetValue(kernel) ?? Path.Combine(GuestStore.Default.FetchedFolder("debian"), GuestStore.Kernel),
            result.GetValue(times), result.GetValue(memory), result.GetValue(dirty)));
        try
        {
            return root.Parse(words).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (BootFailure failure)
        {
            Console.Error.WriteLine($"perf: {failure.Message}");
            return 1;
        }
    }

    private static void Measure(string dbt, string kernel, int times, int memory, int dirty)
    {
        if (!File.Exists(kernel))
        {
            throw new BootFailure($"{kernel} is not there: dbt guest fetch debian, or --kernel FILE");
        }

        string folder = Directory.CreateTempSubdirectory("dbt-migrate").FullName;
        MigrationHost[] hosts = [new(dbt, Path.Combine(folder, "a")), new(dbt, Path.Combine(folder, "b"))];
        try
        {
            string ramdisk = Path.Combine(folder, "initramfs");
            File.WriteAllBytes(ramdisk, Ramdisk(folder));
            hosts[0].Do("create", "-q", $"name={Name}", $"memory={memory}", $"kernel={kernel}", $"ramdisk={ramdisk}",
                $"cmdline=console=hvc0 quiet mitigations=off noisapnp cryptomgr.notests -- gap {dirty}");
            Console.WriteLine(Text($"{memory} MiB, {(dirty == 0 ? "idle but for the probe" : Text($"{dirty} MiB written over and over"))}; steps of the clock seen at rest, each within a second: {string.Join(", ", hosts[0].Steps(Name, 5).Select(Milliseconds))}"));
            var held = new List<double>();
            var steps = new List<double>();
            for (int i = 0; i < times; i++)
            {
                (MigrationHost from, MigrationHost to) = i % 2 == 0 ? (hosts[0], hosts[1]) : (hosts[1], hosts[0]);
                Match told = Held().Match(from.Do("migrate", Name, to.Address));
                held.Add(double.Parse(told.Groups[1].Value, CultureInfo.InvariantCulture));

                // The first step that is told there has the pause in it.
                steps.Add(to.Steps(Name, 1)[0] / 1000.0);
                if (i % 10 == 9)
                {
                    Tell(Text($"after {i + 1}: held"), held);
                }
            }

            Tell("held, by the source's clock", held);
            Tell("largest step of the guest's clock", steps);
        }
        finally
        {
            Array.ForEach(hosts, static host => host.Dispose());
            Directory.Delete(folder, recursive: true);
        }
    }

    private static byte[] Ramdisk(string folder)
    {
        string program = Path.Combine(folder, "probe");
        using Process gcc = Process.Start(new ProcessStartInfo("gcc", ["-m32", "-O2", "-static", "-nostdlib", "-ffreestanding", "-fno-pic", "-fno-stack-protector",
            "-fno-asynchronous-unwind-tables", "-Wl,--build-id=none", "-s", "-o", program, Path.Combine(AppContext.BaseDirectory, "Migration", "probe.c")]))
            ?? throw new BootFailure("gcc can't be started; install gcc and its 32-bit support (gcc-multilib).");
        gcc.WaitForExit();
        if (gcc.ExitCode != 0)
        {
            throw new BootFailure("The probe could not be compiled: install gcc's 32-bit support (gcc-multilib).");
        }

        const int executable = 0x1ED;
        var archive = new CpioArchive();
        archive.AddDirectory("dev");
        archive.AddCharacterDevice("dev/console", 5, 1);
        archive.AddFile("init", File.ReadAllBytes(program), executable);
        return archive.ToArray();
    }

    private static void Tell(string what, List<double> milliseconds)
    {
        double[] sorted = [.. milliseconds.Order()];
        double high = sorted[Math.Min(sorted.Length - 1, (int)Math.Ceiling(sorted.Length * 0.99) - 1)];
        Console.WriteLine(Text($"{what}: median {Statistics.Median(sorted):F1} ms, 99 of 100 within {high:F1} ms, least {sorted[0]:F1}, most {sorted[^1]:F1} ({sorted.Length} times)"));
    }

    private static string Milliseconds(int microseconds) => Text($"{microseconds / 1000.0:F1} ms");

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    [GeneratedRegex(@"it was held for ([\d.]+) ms")]
    private static partial Regex Held();
}
