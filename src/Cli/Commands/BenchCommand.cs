using System.CommandLine;
using System.Globalization;
using Dbt.Cli.Bench;
using Dbt.Cli.Config;
using Dbt.Cli.Guests;

namespace Dbt.Cli.Commands;

/// <summary><c>dbt bench</c>: real programs natively, in a guest, and on what it is compared with.</summary>
internal static class BenchCommand
{
    private const int MostRounds = 1000;
    private const double MostSeconds = 1_000_000;

    /// <summary>Makes the command.</summary>
    public static Command Create(GlobalOptions global)
    {
        var names = new Argument<string[]>("WORKLOAD") { Arity = ArgumentArity.ZeroOrMore, Description = "Programs to run, see --list; all where none is named." };
        var rounds = new Option<int>("--rounds") { Description = "How often each runs on each machine, in turn (5): of three the median is one in which code is still being compiled.", HelpName = "N", DefaultValueFactory = _ => 5 };
        var against = new Option<string[]>("--against")
        {
            Description = "Also run on these: interpreter, quick, optimized, windowed and checked (tiered with and without address windows), and qemu (qemu-system-i386, without acceleration).",
            HelpName = "A,B,...",
            AllowMultipleArgumentsPerToken = true,
        };
        var native = new Option<string>("--native")
        {
            Description = "What runs on the host itself: i386, the guest's own programs (the default); amd64, the 64-bit ones of the same packages, for a host that can't run 32-bit programs; none.",
            HelpName = "ARCH",
            DefaultValueFactory = _ => BenchSettings.GuestArchitecture,
        };
        Option<double> scale = Number("--scale", "Work as a factor of what is usual (1).", "F", 1), timeout = Number("--timeout", "Seconds for one program on one machine (600).", "S", 600);
        var json = new Option<string?>("--json") { Description = "Write all samples and ratios as JSON.", HelpName = "FILE" };
        var html = new Option<string?>("--html") { Description = "Write the table with plots as a page without other files.", HelpName = "FILE" };
        var list = new Option<bool>("--list") { Description = "Show the programs, and run nothing." };
        var command = new Command("bench", "Time real programs in a guest against the same ones on the host, and on other engines.") { names, rounds, against, native, scale, timeout, json, html, list };
        command.SetAction(result =>
        {
            var settings = new BenchSettings
            {
                Workloads = Workloads.Find(result.GetValue(names) ?? []),
                Against = Machines.Parse(result.GetValue(against) ?? []),
                Native = CheckedNative(result.GetValue(native)!),
                Rounds = Checked("--rounds", result.GetValue(rounds)),
                Scale = result.GetValue(scale),
                Timeout = TimeSpan.FromSeconds(result.GetValue(timeout)),
            };
            string? jsonPath = CheckedPath("--json", result.GetValue(json)), htmlPath = CheckedPath("--html", result.GetValue(html));
            if (result.GetValue(list))
            {
                BenchListing.Write(settings, Console.Out, forPeople: !Console.IsOutputRedirected);
                return ExitStatus.Success;
            }

            return result.GetValue(global.DryRun) ? ExitStatus.Success : Cancellable.Run(cancellation => Run(settings, jsonPath, htmlPath, cancellation));
        });
        return command;
    }

    private static int Run(BenchSettings settings, string? json, string? html, CancellationToken cancellation)
    {
        BenchGuest.Ensure(GuestStore.Default, cancellation);
        BenchResult result = BenchDisplay.Show(settings.Rounds, progress => new BenchRun(settings, GuestStore.Default, progress, cancellation).Run());
        BenchTable.Write(result, Console.Out, forPeople: !Console.IsOutputRedirected);
        if (json is not null)
        {
            File.WriteAllText(json, BenchJson.Make(result, settings));
        }

        if (html is not null)
        {
            File.WriteAllText(html, BenchPage.Make(result, settings));
        }

        int status = Conclude(result, Console.Error);
        return result.WasInterrupted ? throw new OperationCanceledException(cancellation) : status;
    }

    /// <summary>Tells what went wrong.</summary>
    /// <returns>The exit status.</returns>
    internal static int Conclude(BenchResult result, TextWriter errors)
    {
        int status = ExitStatus.Success;
        foreach (string note in result.Notes())
        {
            errors.WriteLine($"dbt: {note}");
        }

        foreach ((string workload, string machine, string fault) in result.Faults())
        {
            errors.WriteLine($"dbt: {workload} on {machine}: {fault}");
            status = ExitStatus.Failure;
        }

        return status;
    }

    private static Option<double> Number(string name, string description, string helpName, double usual) => new(name)
    {
        Description = description,
        HelpName = helpName,
        DefaultValueFactory = _ => usual,
        CustomParser = result =>
        {
            string word = result.Tokens[0].Value;
            if (!double.TryParse(word, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value) || value <= 0 || value > MostSeconds)
            {
                result.AddError($"{name}: '{word}' is not a number above 0");
            }

            return value;
        },
    };

    private static int Checked(string option, int value) =>
        value is > 0 and <= MostRounds ? value : throw new ConfigException($"{option}: {value} is outside 1 to {MostRounds}");

    private static string CheckedNative(string word) => word is BenchSettings.GuestArchitecture or BenchSettings.HostArchitecture or BenchSettings.NoNative
        ? word
        : throw new ConfigException($"--native: '{word}' is none of {BenchSettings.GuestArchitecture}, {BenchSettings.HostArchitecture}, {BenchSettings.NoNative}");

    private static string? CheckedPath(string option, string? path) => path is null || Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(path)))
        ? path
        : throw new ConfigException($"{option}: there is no folder for {path}");
}
