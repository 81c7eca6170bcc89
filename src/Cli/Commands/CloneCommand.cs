using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Dbt.Cli.Api;
using Dbt.Cli.Hosting;

namespace Dbt.Cli.Commands;

/// <summary><c>dbt clone</c>, in the grammar of <c>dbt restore</c>.</summary>
internal static class CloneCommand
{
    /// <summary>Makes it.</summary>
    public static Command Create()
    {
        Argument<string[]> files = SnapshotCommands.FilesArgument();
        var pause = new Option<bool>("-p", "--paused") { Description = "Leave them paused; dbt unpause lets one go." };
        var count = new Option<uint>("-n", "--count") { Description = "How many.", HelpName = "N", DefaultValueFactory = static _ => 1 };
        count.Validators.Add(static result =>
        {
            if (result.Tokens.Count == 1 && (!uint.TryParse(result.Tokens[0].Value, CultureInfo.InvariantCulture, out uint n) || n is 0 or > DaemonHost.MostClones))
            {
                result.AddError($"-n: '{result.Tokens[0].Value}' is not from 1 to {DaemonHost.MostClones}");
            }
        });
        var name = new Option<string?>("--name") { Description = "The name, or, of several, what their names begin with.", HelpName = "NAME" };
        var command = new Command("clone", "Make guests of a saved one that share its memory until they write it. What they write to disks is forgotten with them.")
        {
            files, pause, count, name,
        };
        command.SetAction(async (result, cancellation) =>
        {
            long start = Stopwatch.GetTimestamp();
            (string path, CreateRequest? instead) = SnapshotCommands.Given(result.GetValue(files)!);
            var request = new CloneRequest { Path = path, Instead = instead, Paused = result.GetValue(pause), Count = result.GetValue(count), Name = result.GetValue(name) ?? "" };
            using DaemonClient daemon = await DaemonClient.StartAsync().ConfigureAwait(false);
            if (await SnapshotCommands.FollowAsync(token => daemon.Calls.Clone(request, cancellationToken: token), "the daemon", "cloned").ConfigureAwait(false) is not { } last)
            {
                return ExitStatus.Failure;
            }

            string which = last.Names.Count == 1 ? last.Names[0] : $"{last.Names.Count} clones, {last.Names[0]} to {last.Names[^1]}";
            Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{which}: {Stopwatch.GetElapsedTime(start).TotalSeconds:F2} s, {last.BytesEach / 1048576.0:F1} MiB of memory of their own each so far"));
            return ExitStatus.Success;
        });
        return command;
    }
}
