using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using Dbt.Cli.Api;
using Dbt.Cli.Control;
using Dbt.Cli.Profile;
using Dbt.Translator.Diagnostics;
using Spectre.Console;

namespace Dbt.Cli.Commands;

/// <summary><c>dbt profile</c>.</summary>
internal static class ProfileCommand
{
    private const int NarrowestReport = 120;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var domain = new Argument<string?>("DOMAIN|PID") { Arity = ArgumentArity.ZeroOrOne, Description = "The guest's name or id, or a process that runs guests; the only guest where there is one." };
        var seconds = new Option<double?>("--seconds") { Description = "How long to look (10; with --live until a key is pressed).", HelpName = "N" };
        var rate = new Option<int>("--rate") { Description = $"Samples a second of each processor, 1 to {DbtEventSource.MostSamples}.", HelpName = "HZ", DefaultValueFactory = _ => DbtEventSource.MostSamples };
        var top = new Option<int>("--top") { Description = "Lines of each list.", HelpName = "N", DefaultValueFactory = _ => 20 };
        Option<string?> html = File("--html", "Write a page with plots."), speedscope = File("--speedscope", "Write a profile for speedscope."), json = File("--json", "Write the report as JSON.");
        var perfMap = new Option<string?>("--perf-map") { Description = "Write the names of translations for Linux' perf, to /tmp/perf-PID.map without a file.", HelpName = "FILE", Arity = ArgumentArity.ZeroOrOne };
        Option<string?> systemMap = File("--system-map", "The kernel's functions.");
        var symbols = new Option<string[]>("--symbols")
        {
            Description = "Programs of the guest: an ELF file, FILE@ADDRESS where it is loaded, a folder of them, or a Debian package. Without an address code is found by its contents.",
            HelpName = "FILE[@ADDRESS]",
            AllowMultipleArgumentsPerToken = true,
        };
        var block = new Option<string?>("--block") { Description = "Instead, list the translation of the block at an address: guest code, IL, host code.", HelpName = "ADDRESS" };
        var live = new Option<bool>("--live") { Description = "Show a view that is renewed each second." };
        var command = new Command("profile", "Show where a running guest's time goes: by tier, function, block and reason of exit.")
        {
            domain, seconds, rate, top, html, speedscope, perfMap, json, systemMap, symbols, live, block,
        };
        command.SetAction(async (result, _) =>
        {
            var options = new ProfileOptions
            {
                Seconds = result.GetValue(seconds),
                Rate = result.GetValue(rate),
                Top = result.GetValue(top),
                Html = result.GetValue(html),
                Speedscope = result.GetValue(speedscope),
                WritesPerfMap = result.GetResult(perfMap) is not null,
                PerfMap = result.GetValue(perfMap),
                Json = result.GetValue(json),
                SystemMap = result.GetValue(systemMap),
                Symbols = [.. (result.GetValue(symbols) ?? []).Select(SymbolFiles.Parse)],
                IsLive = result.GetValue(live),
            };
            options.Check();
            if (result.GetValue(block) is string address)
            {
                return await ListBlockAsync(result.GetValue(domain), address).ConfigureAwait(false);
            }

            ProfileTarget target = await ProfileTarget.FindAsync(result.GetValue(domain), Console.Error).ConfigureAwait(false);
            Run(target, options);
            return ExitStatus.Success;
        });
        return command;

        static Option<string?> File(string name, string description) => new(name) { Description = description, HelpName = "FILE" };
    }

    private static async Task<int> ListBlockAsync(string? domain, string address)
    {
        string digits = address.StartsWith("0x", StringComparison.OrdinalIgnoreCase) ? address[2..] : address;
        if (!uint.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint at))
        {
            throw new ProfileException($"--block: '{address}' is no address");
        }

        ProfileTarget target = await ProfileTarget.FindAsync(domain, Console.Error).ConfigureAwait(false);
        using ControlClient client = await ControlClient.FindAsync(ControlFolder.Open(ControlFolder.DefaultPath), target.Name).ConfigureAwait(false);
        BlockReply reply = await client.CallAsync((stub, id, deadline) => stub.ListBlockAsync(new BlockRequest { Domain = id, Address = at }, deadline: deadline)).ConfigureAwait(false);
        WidenIfRedirected();
        BlockReplies.Write(AnsiConsole.Console, reply);
        return ExitStatus.Success;
    }

    // Nobody's terminal breaks the lines then.
    private static void WidenIfRedirected()
    {
        if (Console.IsOutputRedirected)
        {
            AnsiConsole.Profile.Width = NarrowestReport;
        }
    }

    private static void Run(ProfileTarget target, ProfileOptions options)
    {
        using var interrupted = new CancellationTokenSource();
        using PosixSignalRegistration interrupt = Ends(PosixSignal.SIGINT), terminate = Ends(PosixSignal.SIGTERM);
        using ProfileSession session = ProfileSession.Attach(target, options.Rate, options.WritesPerfMap);
        session.AwaitGuest(target.ProcessId, Patience);
        if (options.IsLive)
        {
            LiveSymbols symbols = new(options);
            LiveView.Run(AnsiConsole.Console, session, recording => symbols.Summarise(recording, target), options.Top, options.Length, interrupted.Token);
        }
        else
        {
            Task.WaitAny([session.Ended, Task.Delay(options.Length ?? ProfileOptions.UsualLength, interrupted.Token)], CancellationToken.None);
        }

        session.Stop();
        Report(session.Recording, target, options);

        PosixSignalRegistration Ends(PosixSignal signal) => PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            interrupted.Cancel();
        });
    }

    private static void Report(ProfileRecording recording, ProfileTarget target, ProfileOptions options)
    {
        var symbols = new Symboliser(recording, options.SystemMap, options.Symbols);
        ProfileSummary summary = ProfileSummary.Of(recording, symbols, target);
        if (!options.IsLive)
        {
            WidenIfRedirected();
            TerminalReport.Write(AnsiConsole.Console, summary, options.Top);
        }

        if (options.Html is string html)
        {
            HtmlReport.Write(html, recording, summary);
            Say(html, "a page with plots");
        }

        if (options.Speedscope is string speedscope)
        {
            SpeedscopeFile.Write(speedscope, recording, symbols, summary.Guest);
            Say(speedscope, "for speedscope");
        }

        if (options.Json is string json)
        {
            JsonReport.Write(json, summary);
            Say(json, "the report as JSON");
        }

        if (options.WritesPerfMap)
        {
            string path = options.PerfMap ?? PerfMapFile.DefaultPath(target.ProcessId);
            int translations = PerfMapFile.Write(path, recording, symbols);
            Say(path, string.Create(CultureInfo.InvariantCulture, $"for perf, with {translations} translations among {recording.Methods.Count} methods"));
        }
    }

    private static void Say(string path, string what) => Console.Error.WriteLine($"dbt: {path}: {what}");
}
