using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using Dbt.Cli.Api;
using Dbt.Cli.Control;
using Dbt.Cli.Migration;
using Grpc.Core;

namespace Dbt.Cli.Commands;

/// <summary><c>dbt migrate</c>, in xl's grammar.</summary>
internal static class MigrateCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create(GlobalOptions global)
    {
        Argument<string> domain = GuestCall.DomainArgument();
        var target = new Argument<string>("HOST[:PORT]") { Description = $"Where a daemon listens (dbt daemon --migration-listen); port {SecureConnection.DefaultPort} where none is named." };
        var downtime = new Option<double?>("--downtime") { Description = "Hold the guest when what is left takes no longer than this (5).", HelpName = "MS" };
        var rounds = new Option<int?>("--rounds") { Description = "Hold it after so many rounds over its memory, whatever is left (30).", HelpName = "N" };
        var kind = new Option<string>("--kind") { Description = "live: it notices nothing. suspended: it is asked to suspend itself, and sets itself up anew there.", DefaultValueFactory = static _ => "live" };
        kind.AcceptOnlyFromAmong("live", "suspended");
        var patience = new Option<uint>("--suspend-timeout") { Description = "Seconds that it is given to suspend itself (60).", HelpName = "S" };
        var command = new Command("migrate", "Move a running guest to a daemon of another host. Ctrl-C, before the guest is held, leaves it here.") { domain, target, downtime, rounds, kind, patience };
        command.SetAction(async (result, _) =>
        {
            if (result.GetValue(downtime) is <= 0 or > 60_000 || result.GetValue(rounds) is < 1 or > 1000)
            {
                throw new ControlException(ControlError.Invalid, "--downtime: up to 60000 ms; --rounds: 1 to 1000");
            }

            using ControlClient client = await ControlClient.FindAsync(ControlFolder.Open(ControlFolder.DefaultPath), result.GetValue(domain)!).ConfigureAwait(false);
            return await FollowAsync(client, new MigrateRequest
            {
                Domain = client.Id,
                Target = result.GetValue(target)!,
                DowntimeMilliseconds = result.GetValue(downtime) ?? 0,
                Rounds = (uint)(result.GetValue(rounds) ?? 0),
                Suspended = result.GetValue(kind) == "suspended",
                SuspendSeconds = result.GetValue(patience),
            }, result.GetValue(global.Verbose)).ConfigureAwait(false);
        });
        return command;
    }

    private static async Task<int> FollowAsync(ControlClient client, MigrateRequest request, bool verbose)
    {
        using var cancel = new CancellationTokenSource();
        int signal = 0;
        using PosixSignalRegistration interrupt = Ends(PosixSignal.SIGINT, 2), terminate = Ends(PosixSignal.SIGTERM, 15), hangUp = Ends(PosixSignal.SIGHUP, 1);
        using var display = new MigrationDisplay(Console.Error, !Console.IsErrorRedirected, verbose);
        try
        {
            using AsyncServerStreamingCall<MigrateProgress> call = client.Calls.Migrate(request, cancellationToken: cancel.Token);
            MigrateProgress? last = null;
            await foreach (MigrateProgress progress in call.ResponseStream.ReadAllAsync())
            {
                display.Show(progress);
                last = progress;
            }

            display.End();
            if (last is not null)
            {
                Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{client.Domain.Name} runs at {request.Target}; it was held for {last.PauseMilliseconds:0.0} ms"));
            }

            return ExitStatus.Success;
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.Cancelled && signal != 0)
        {
            display.End();
            Console.Error.WriteLine($"dbt: interrupted; {client.Domain.Name} stays here, unless it was held already (dbt list tells)");
            return ExitStatus.Signal(signal);
        }
        catch (RpcException exception)
        {
            display.End();
            throw ControlErrors.From(exception, client.Domain.Name);
        }

        PosixSignalRegistration Ends(PosixSignal kind, int number) => PosixSignalRegistration.Create(kind, context =>
        {
            context.Cancel = true;
            signal = number;
            cancel.Cancel();
        });
    }
}
