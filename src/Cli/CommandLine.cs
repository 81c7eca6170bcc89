using System.CommandLine;
using Dbt.Cli.Bench;
using Dbt.Cli.Commands;
using Dbt.Cli.Config;
using Dbt.Cli.Control;
using Dbt.Cli.Packages;
using Dbt.Cli.Profile;
using Dbt.Runtime;
using Dbt.Xen.Builder;

namespace Dbt.Cli;

/// <summary>The <c>dbt</c> command: words to commands, errors to one line and an exit status.</summary>
internal static class CommandLine
{
    /// <summary>Runs the command.</summary>
    /// <returns>See <see cref="ExitStatus"/>.</returns>
    public static async Task<int> RunAsync(string[] words)
    {
        RootCommand root = CreateRoot();
        // "@releaseDomain" is a name in xenstore, and no file with more words in it.
        ParseResult result = root.Parse(words, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (result.Errors.Count > 0)
        {
            Console.Error.WriteLine($"dbt: {WhatIsWrong(result)}");
            Console.Error.WriteLine($"See: {Usage(result)} --help");
            return ExitStatus.Usage;
        }

        try
        {
            return await result.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null }).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is ConfigException or DomainBuildException or PackageException)
        {
            Console.Error.WriteLine($"dbt: {exception.Message}");
            return ExitStatus.Usage;
        }
        catch (ProfileException exception)
        {
            Console.Error.WriteLine($"dbt: {exception.Message}");
            return ExitStatus.Failure;
        }
        catch (ControlException exception)
        {
            // xl's own wordings, which scripts look for, stand at the line's start.
            bool asXl = exception.Error is ControlError.NotFound;
            Console.Error.WriteLine(asXl ? exception.Message : $"dbt: {exception.Message}");
            return ExitStatus.Failure;
        }
        catch (Exception exception) when (exception is HostException or BenchException or IOException or OutOfMemoryException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine($"dbt: {exception.Message}");
            return ExitStatus.Failure;
        }
    }

    private static RootCommand CreateRoot()
    {
        var global = new GlobalOptions();
        var root = new RootCommand("Runs 32-bit Xen PV guests in an ordinary process, translating their code.")
        {
            global.Verbose,
            global.DryRun,

            RunCommand.Create(global),
            CreateCommand.Create(global),
            ConsoleCommand.Create(),
            MigrateCommand.Create(global),
            DumpCoreCommand.Create(),
            DaemonCommand.Create(),
            InfoCommand.Create(),
            TopCommand.Create(),
            GuestCommand.Create(),
            ProfileCommand.Create(),
            DiskCommand.Create(),
            BenchCommand.Create(global),
            CacheCommand.Create(),
            VersionCommand.Create(),
        };
        foreach (Command command in (IEnumerable<Command>)[.. DomainCommands.Create(global), .. ResourceCommands.Create(), .. ScheduleCommands.Create(), .. DeviceCommands.Create(), .. MigrationKeyCommands.Create(), .. StoreCommands.Create(), .. SnapshotCommands.Create(), .. UnsupportedCommands.Create()])
        {
            root.Add(command);
        }

        return root;
    }

    private static string WhatIsWrong(ParseResult result) =>
        result.UnmatchedTokens.Count == 0 ? result.Errors[0].Message
        : result.CommandResult.Command.Subcommands.Count > 0 ? $"unknown command '{result.UnmatchedTokens[0]}'"
        : $"unknown argument '{result.UnmatchedTokens[0]}'";

    private static string Usage(ParseResult result)
    {
        string words = result.CommandResult.Command is RootCommand ? "" : $" {result.CommandResult.Command.Name}";
        return $"dbt{words}";
    }
}
