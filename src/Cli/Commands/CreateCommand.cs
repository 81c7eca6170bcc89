using System.CommandLine;
using Dbt.Cli.Api;
using Dbt.Cli.Config;
using Dbt.Cli.Control;
using Dbt.Cli.Guests;
using Dbt.Cli.Hosting;
using Dbt.Cli.Running;
using Dbt.Cli.Terminal;
using Dbt.Translator;

namespace Dbt.Cli.Commands;

/// <summary><c>dbt create</c>: a guest in the daemon, which is started where none runs.</summary>
internal static class CreateCommand
{
    // A daemon that is just ending refuses; the next is asked then.
    private const int Attempts = 5;

    /// <summary>Makes the command.</summary>
    public static Command Create(GlobalOptions global)
    {
        var words = new Argument<string[]>(GuestChoice.Words) { Arity = ArgumentArity.ZeroOrMore, Description = GuestChoice.Description };
        var file = new Option<string?>("-f", "--defconfig") { Description = "The configuration file, where it isn't the first word.", HelpName = "FILE" };
        var console = new Option<bool>("-c", "--console") { Description = "Attach to its console." };
        var paused = new Option<bool>("-p", "--paused") { Description = "Leave it paused; dbt unpause lets it go." };
        var quiet = new Option<bool>("-q", "--quiet") { Description = "Say nothing but errors." };
        var dryRun = new Option<bool>("-n", "--dryrun") { Description = "Check everything, make nothing." };
        Option<EngineKind> engine = EngineNames.Option();
        var noCodeCache = new Option<bool>("--no-code-cache") { Description = "Neither use nor keep compiled code of other guests and runs with the same kernel: see dbt cache." };
        var command = new Command("create", "Make a guest that runs in the background, in a daemon that is started when it is needed.") { words, file, console, paused, quiet, dryRun, engine, noCodeCache };
        command.SetAction(async (result, _) =>
        {
            string[] given = result.GetValue(words) ?? [];
            var choice = GuestChoice.Parse("create", result.GetValue(file) is string named ? [named, .. given] : given);
            bool isDry = result.GetValue(dryRun) || result.GetValue(global.DryRun), isQuiet = result.GetValue(quiet);
            if (choice.Guest is string guest && GuestChoice.FetchIfAbsent(guest, isDry) is not ExitStatus.Success and int failed)
            {
                return failed;
            }

            CreateRequest request = Request(choice, isQuiet, isDry);
            if (isDry)
            {
                return ExitStatus.Success;
            }

            bool stays = result.GetValue(paused), attach = result.GetValue(console);
            request.Paused = stays || attach;
            request.Engine = result.GetValue(engine).ToString().ToLowerInvariant();
            request.NoCodeCache = result.GetValue(noCodeCache);
            if (attach && !Console.IsInputRedirected && TerminalSize.OfStandardOutput() is { } size)
            {
                (request.Rows, request.Columns) = ((uint)size.Rows, (uint)size.Columns);
            }

            CreateReply reply = await SendAsync(request).ConfigureAwait(false);
            return attach ? await ConsoleCommand.AttachAsync(reply.Name, InputPump.DefaultEscape, unpause: !stays).ConfigureAwait(false) : ExitStatus.Success;
        });
        return command;
    }

    /// <summary>Checks what there is to check here, downloads what the configuration names, and tells warnings.</summary>
    private static CreateRequest Request(GuestChoice choice, bool quiet, bool dryRun)
    {
        string text = choice.File is null ? "" : GuestConfigReader.ReadText(choice.File);
        if (choice.File is not null && !quiet)
        {
            Console.Out.WriteLine($"Parsing config from {choice.File}");
        }

        if (choice.Guest is null || !dryRun)
        {
            using IDisposable? held = choice.Guest is null ? null : GuestStore.Default.Open(choice.Guest, anew: false);
            GuestConfig config = choice.Guest is null
                ? GuestConfigReader.Read(choice.File, text, choice.Settings)
                : GuestConfigReader.ReadSettings(KnownGuests.Configuration(choice.Guest, GuestStore.Default), choice.Settings);
            foreach (string warning in quiet ? [] : config.Warnings)
            {
                Console.Error.WriteLine($"dbt: warning: {warning}");
            }

            if (dryRun)
            {
                _ = GuestImage.Load(config, new GuestOptions(), new GuestFileCache());
            }
        }

        (string cache, string data) = GuestStore.Default.Folders;
        return new CreateRequest
        {
            Configuration = text,
            Source = choice.File is null ? "" : Path.GetFullPath(choice.File),
            Guest = choice.Guest ?? "",
            GuestCache = cache,
            GuestData = data,
            Folder = Environment.CurrentDirectory,
            Settings = { choice.Settings },
        };
    }

    private static async Task<CreateReply> SendAsync(CreateRequest request)
    {
        for (int attempt = 1; ; attempt++)
        {
            using DaemonClient daemon = await DaemonClient.StartAsync().ConfigureAwait(false);
            try
            {
                return await daemon.CallAsync(calls => calls.CreateAsync(request)).ConfigureAwait(false);
            }
            catch (ControlException exception) when (exception.Error == ControlError.Unavailable && attempt < Attempts)
            {
                // Nothing was made: it was ending.
            }
        }
    }
}
