using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using Dbt.Cli.Api;
using Dbt.Cli.Config;
using Dbt.Cli.Control;
using Dbt.Cli.Hosting;
using Grpc.Core;

namespace Dbt.Cli.Commands;

/// <summary><c>dbt save</c>, <c>dbt restore</c> and what goes with them, in xl's grammar.</summary>
internal static class SnapshotCommands
{
    /// <summary>Makes them.</summary>
    public static IEnumerable<Command> Create() => [Save(), Restore(), CloneCommand.Create()];

    private static Command Save()
    {
        Argument<string> domain = GuestCall.DomainArgument();
        var file = new Argument<string>("FILE") { Description = "The file to be written." };
        var check = new Option<bool>("-c", "--checkpoint") { Description = "Leave it running." };
        var pause = new Option<bool>("-p", "--paused") { Description = "Leave it paused." };
        var kind = new Option<string>("--kind") { Description = "live: it notices nothing. suspended: it is asked to suspend itself. auto: suspended where it can.", DefaultValueFactory = static _ => "auto" };
        kind.AcceptOnlyFromAmong("auto", "live", "suspended");
        var patience = new Option<uint>("--suspend-timeout") { Description = "Seconds that it is given to suspend itself.", DefaultValueFactory = static _ => 60 };
        var command = new Command("save", "Save a guest's state to a file, and end it.") { domain, file, check, pause, kind, patience };
        command.SetAction(async (result, cancellation) =>
        {
            using ControlClient client = await ControlClient.FindAsync(ControlFolder.Open(ControlFolder.DefaultPath), result.GetValue(domain)!).ConfigureAwait(false);
            string path = Path.GetFullPath(result.GetValue(file)!);
            Console.Out.WriteLine($"Saving to {path}");
            var request = new SaveRequest
            {
                Domain = client.Id,
                Path = path,
                KeepRunning = result.GetValue(check),
                LeavePaused = result.GetValue(pause),
                Kind = result.GetValue(kind) switch { "live" => SaveRequest.Types.Kind.Live, "suspended" => SaveRequest.Types.Kind.Suspended, _ => SaveRequest.Types.Kind.Automatic },
                SuspendSeconds = result.GetValue(patience),
            };
            return await FollowAsync(token => client.Calls.Save(request, cancellationToken: token), client.Domain.Name, "saved").ConfigureAwait(false) is null
                ? ExitStatus.Failure
                : ExitStatus.Success;
        });
        return command;
    }

    private static Command Restore()
    {
        Argument<string[]> files = FilesArgument();
        var pause = new Option<bool>("-p", "--paused") { Description = "Leave it paused; dbt unpause lets it go." };
        var noWait = new Option<bool>("-e") { Description = "Accepted as xl does: nothing waits in the background for the guest's end." };
        var debug = new Option<bool>("-d", "--debug") { Description = "Accepted as xl does: says nothing more." };
        var name = new Option<string?>("--name") { Description = "Give it this name, and a new UUID.", HelpName = "NAME" };
        var command = new Command("restore", "Restore a guest that dbt save saved.") { files, pause, noWait, debug, name };
        command.SetAction(async (result, cancellation) =>
        {
            (string path, CreateRequest? instead) = Given(result.GetValue(files)!);
            var request = new RestoreRequest { Path = path, Instead = instead, Paused = result.GetValue(pause), Name = result.GetValue(name) ?? "" };
            Console.Out.WriteLine($"Loading saved guest from {request.Path}");
            using DaemonClient daemon = await DaemonClient.StartAsync().ConfigureAwait(false);
            return await FollowAsync(token => daemon.Calls.Restore(request, cancellationToken: token), "the daemon", "restored").ConfigureAwait(false) is null
                ? ExitStatus.Failure
                : ExitStatus.Success;
        });
        return command;
    }

    /// <summary>What is to be made again, as xl has it.</summary>
    public static Argument<string[]> FilesArgument() =>
        new("[CONFIG] FILE") { Arity = new ArgumentArity(1, 2), Description = "A configuration to use instead of the guest's own, and the saved guest." };

    /// <summary>The saved guest's full path, and the configuration.</summary>
    /// <exception cref="Config.ConfigException">It can't be read.</exception>
    public static (string Path, CreateRequest? Instead) Given(string[] files)
    {
        string path = Path.GetFullPath(files[^1]);
        if (files.Length == 1)
        {
            return (path, null);
        }

        var instead = new CreateRequest { Configuration = GuestConfigReader.ReadText(files[0]), Source = Path.GetFullPath(files[0]), Folder = Environment.CurrentDirectory };
        Console.Out.WriteLine($"Parsing config from {files[0]}");
        return (path, instead);
    }

    /// <summary>Shows the progress of a call until it ends; Ctrl-C ends it.</summary>
    /// <returns>The last message; null where the user ended it.</returns>
    /// <exception cref="ControlException">It was refused.</exception>
    public static async Task<Progress?> FollowAsync(Func<CancellationToken, AsyncServerStreamingCall<Progress>> call, string name, string done)
    {
        using var source = new CancellationTokenSource();
        using PosixSignalRegistration interrupt = Ends(PosixSignal.SIGINT), terminate = Ends(PosixSignal.SIGTERM);
        bool shows = !Console.IsErrorRedirected;
        var last = new Progress();
        try
        {
            using AsyncServerStreamingCall<Progress> stream = call(source.Token);
            await foreach (Progress progress in stream.ResponseStream.ReadAllAsync(CancellationToken.None).ConfigureAwait(false))
            {
                if (progress.Note.Length != 0)
                {
                    Console.Error.WriteLine($"{(shows ? "\r" : "")}dbt: {progress.Note}");
                }
                else if (shows && progress.AllPages != 0)
                {
                    Console.Error.Write(string.Create(CultureInfo.InvariantCulture, $"\r{progress.Pages * 100 / progress.AllPages,3} %  {progress.Bytes >> 20} MiB "));
                }

                last = progress;
            }

            if (shows)
            {
                Console.Error.Write("\r                         \r");
            }

            return last;
        }
        catch (RpcException exception) when (source.IsCancellationRequested && exception.StatusCode == StatusCode.Cancelled)
        {
            Console.Error.WriteLine($"{(shows ? "\r" : "")}dbt: interrupted; nothing was {done}");
            return null;
        }
        catch (RpcException exception)
        {
            throw ControlErrors.From(exception, name);
        }

        PosixSignalRegistration Ends(PosixSignal kind) => PosixSignalRegistration.Create(kind, context =>
        {
            context.Cancel = true;
            source.Cancel();
        });
    }
}
