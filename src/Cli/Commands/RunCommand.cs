using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using Dbt.Cli.Config;
using Dbt.Cli.Control;
using Dbt.Cli.Guests;
using Dbt.Cli.Running;
using Dbt.Cli.Terminal;
using Dbt.Translator;

namespace Dbt.Cli.Commands;

/// <summary><c>dbt run</c>.</summary>
internal static class RunCommand
{
    private const double MostSeconds = 1_000_000, LeastHangSeconds = 0.1;

    /// <summary>Makes the command.</summary>
    public static Command Create(GlobalOptions global)
    {
        var words = new Argument<string[]>(GuestChoice.Words) { Arity = ArgumentArity.ZeroOrMore, Description = GuestChoice.Description };
        Option<EngineKind> engine = EngineNames.Option();
        var timeout = new Option<double?>("--timeout")
        {
            Description = "Stop the guest after so many seconds, and end with status 124.",
            HelpName = "S",
            CustomParser = result =>
            {
                string word = result.Tokens[0].Value;
                bool valid = double.TryParse(word, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double seconds)
                    && seconds > 0 && seconds <= MostSeconds;
                if (!valid)
                {
                    result.AddError($"--timeout: '{word}' is not a number of seconds above 0");
                }

                return seconds;
            },
        };
        var hangAfter = new Option<double>("--hang-after")
        {
            Description = "Say where the guest is when it has seemed to hang for so many seconds (30; 0: never).",
            HelpName = "S",
            DefaultValueFactory = _ => HangWatch.Default.TotalSeconds,
            CustomParser = result =>
            {
                string word = result.Tokens[0].Value;
                if (!double.TryParse(word, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double seconds)
                    || seconds > MostSeconds || (seconds != 0 && seconds < LeastHangSeconds))
                {
                    result.AddError($"--hang-after: '{word}' is neither 0 nor a number of seconds from {LeastHangSeconds.ToString(CultureInfo.InvariantCulture)} on");
                }

                return seconds;
            },
        };
        var systemMap = new Option<string?>("--system-map")
        {
            Description = "Names of the kernel's functions, for reports of crashes and hangs: its System.map, or what /proc/kallsyms shows in the guest.",
            HelpName = "FILE",
        };
        var statistics = new Option<string?>("--stats") { Description = "Write counters as JSON when the guest has ended.", HelpName = "FILE.json" };
        var log = new Option<string?>("--log") { Description = "Write the guest's log, what xl dmesg would show, to a file.", HelpName = "FILE" };
        var noCodeCache = new Option<bool>("--no-code-cache") { Description = "Neither use nor keep compiled code of other runs of the same kernel: see dbt cache." };
        var command = new Command("run", "Run a guest in the foreground, its console on standard input and output; ^] leaves.")
        {
            words, engine, timeout, hangAfter, systemMap, statistics, log, noCodeCache,
        };
        command.SetAction(async (result, _) =>
        {
            double? seconds = result.GetValue(timeout);
            var options = new RunOptions
            {
                Engine = result.GetValue(engine),
                PortableFloatingPoint = Environment.GetEnvironmentVariable("DBT_PORTABLE_FLOATING_POINT") == "1",
                Timeout = seconds is double limit ? TimeSpan.FromSeconds(limit) : null,
                HangAfter = TimeSpan.FromSeconds(result.GetValue(hangAfter)),
                SystemMapPath = result.GetValue(systemMap),
                StatisticsPath = result.GetValue(statistics),
                LogPath = result.GetValue(log),
                TerminalSize = Console.IsInputRedirected ? null : TerminalSize.OfStandardOutput(),
                ControlPath = ControlFolder.DefaultPath,
                CodeFolder = result.GetValue(noCodeCache) ? null : CodeFolder.Default,
                Verbose = result.GetValue(global.Verbose),
                DryRun = result.GetValue(global.DryRun),
            };
            return await RunAsync(result.GetValue(words) ?? [], options).ConfigureAwait(false);
        });
        return command;
    }

    private static async Task<int> RunAsync(string[] words, RunOptions options)
    {
        var choice = GuestChoice.Parse("run", words);
        if (choice.Guest is not string guest)
        {
            return await RunAsync(GuestConfigReader.Read(choice.File, choice.Settings), options).ConfigureAwait(false);
        }

        int status = GuestChoice.FetchIfAbsent(guest, options.DryRun);
        if (status != ExitStatus.Success)
        {
            return status;
        }

        using IDisposable held = GuestStore.Default.Open(guest, anew: false);
        return await RunAsync(GuestConfigReader.ReadSettings(KnownGuests.Configuration(guest, GuestStore.Default), choice.Settings), options).ConfigureAwait(false);
    }

    private static async Task<int> RunAsync(GuestConfig config, RunOptions options)
    {
        foreach (string warning in config.Warnings)
        {
            Console.Error.WriteLine($"dbt: warning: {warning}");
        }

        if (options.StatisticsPath is string path && !Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(path))))
        {
            throw new ConfigException($"--stats: there is no folder for {path}");
        }

        using Stream output = StandardStreams.OpenOutput();
        RawTerminal? terminal = null;
        using var runner = new GuestRunner(config, options, output, Console.Error, leave =>
        {
            terminal = RawTerminal.TryEnter();
            return new InputPump(StandardStreams.OpenInput(), terminal is null ? null : leave);
        });
        if (options.DryRun)
        {
            return ExitStatus.Success;
        }

        using PosixSignalRegistration interrupt = Ends(PosixSignal.SIGINT, 2), quit = Ends(PosixSignal.SIGQUIT, 3),
            terminate = Ends(PosixSignal.SIGTERM, 15), hangUp = Ends(PosixSignal.SIGHUP, 1);
        try
        {
            return await runner.RunAsync().ConfigureAwait(false);
        }
        finally
        {
            terminal?.Dispose();
        }

        PosixSignalRegistration Ends(PosixSignal signal, int number) => PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            runner.Leave(ExitStatus.Signal(number));
        });
    }
}
