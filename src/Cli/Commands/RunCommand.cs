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

    private static readonly Dictionary<string, EngineKind> Engines = new(StringComparer.OrdinalIgnoreCase)
    {
        ["interpreter"] = EngineKind.Interpreter,
        ["quick"] = EngineKind.Quick,
        ["optimized"] = EngineKind.Optimized,
        ["optimised"] = EngineKind.Optimized,
        ["tiered"] = EngineKind.Tiered,
    };

    /// <summary>Makes the command.</summary>
    public static Command Create(GlobalOptions global)
    {
        var words = new Argument<string[]>("FILE.cfg|GUEST key=value")
        {
            Arity = ArgumentArity.ZeroOrMore,
            Description = "A guest's configuration in xl.cfg's format, and settings that replace the file's. A guest of `dbt guest list` is run by its name. Without either our own embedded guest runs.",
        };
        var engine = new Option<EngineKind>("--engine")
        {
            Description = "How guest code is executed: interpreter, quick, optimized or tiered (the default). "
                + "DBT_PORTABLE_FLOATING_POINT=1 in the environment: x87, MMX and SSE without the host's own instructions.",
            HelpName = "E",
            DefaultValueFactory = _ => EngineKind.Tiered,
            CustomParser = result =>
            {
                string word = result.Tokens[0].Value;
                if (!Engines.TryGetValue(word, out EngineKind kind))
                {
                    result.AddError($"--engine: '{word}' is none of interpreter, quick, optimized, tiered");
                }

                return kind;
            },
        };
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
        if (Array.Find(words, word => word.StartsWith('-')) is string option)
        {
            throw new ConfigException($"unknown option {option}; see: dbt run --help");
        }

        if (words.Length > 0 && KnownGuests.IsNamed(words[0]))
        {
            int status = FetchIfAbsent(words[0], options.DryRun);
            if (status != ExitStatus.Success)
            {
                return status;
            }

            using IDisposable held = GuestStore.Default.Open(words[0], anew: false);
            return await RunAsync(GuestConfigReader.ReadSettings(KnownGuests.Configuration(words[0], GuestStore.Default), words[1..]), options).ConfigureAwait(false);
        }

        bool named = words.Length > 0 && (!words[0].Contains('=', StringComparison.Ordinal) || File.Exists(words[0]));
        return await RunAsync(GuestConfigReader.Read(named ? words[0] : null, named ? words[1..] : words), options).ConfigureAwait(false);
    }

    private static int FetchIfAbsent(string guest, bool dryRun)
    {
        GuestStore store = GuestStore.Default;
        return dryRun || store.Installed(guest) is not null || store.Fetched(guest) is not null ? ExitStatus.Success : Cancellable.Run(cancellation =>
        {
            KnownGuests.Fetch(guest, store, new GuestRequest([], null), cancellation);
            return ExitStatus.Success;
        });
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
