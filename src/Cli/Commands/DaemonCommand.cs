using System.CommandLine;
using System.Globalization;
using Dbt.Cli.Api;
using Dbt.Cli.Control;
using Dbt.Cli.Hosting;
using Dbt.Cli.Migration;

namespace Dbt.Cli.Commands;

/// <summary><c>dbt daemon</c>.</summary>
internal static class DaemonCommand
{
    private const double DefaultIdleSeconds = 60;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(20);

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var foreground = new Option<bool>("-F", "--foreground") { Description = "Stay in the foreground and log to standard error." };
        var detached = new Option<bool>("--detached") { Hidden = true };
        var idle = new Option<double?>("--idle")
        {
            Description = $"End so many seconds after the last guest has gone ({DefaultIdleSeconds}; DBT_DAEMON_IDLE in the environment).",
            HelpName = "S",
        };
        var listen = new Option<string?>("--migration-listen")
        {
            Description = $"Take guests that other daemons send (dbt migrate), at this address of the host; port {SecureConnection.DefaultPort} where none is named. The daemon then stays until it is told to end.",
            HelpName = "ADDRESS[:PORT]",
        };
        var command = new Command("daemon", "Start the process that holds guests in the background; dbt create does it by itself.") { foreground, detached, idle, listen, Stop() };
        command.SetAction(async (result, _) =>
        {
            TimeSpan limit = Idle(result.GetValue(idle));
            if (result.GetValue(detached))
            {
                return await DaemonProcess.RunDetachedAsync(limit).ConfigureAwait(false);
            }

            if (result.GetValue(foreground))
            {
                return await DaemonProcess.RunAsync(limit, result.GetValue(listen)).ConfigureAwait(false);
            }

            Console.Out.WriteLine(await StartAsync(limit, result.GetValue(listen)).ConfigureAwait(false));
            return ExitStatus.Success;
        });
        return command;
    }

    private static async Task<string> StartAsync(TimeSpan limit, string? listen)
    {
        using DaemonClient daemon = await DaemonClient.StartAsync(limit).ConfigureAwait(false);
        try
        {
            string at = "";
            if (listen is not null)
            {
                ListenReply reply = await daemon.CallAsync(calls => calls.ListenAsync(new ListenRequest { Address = listen })).ConfigureAwait(false);
                at = $", guests may come to {reply.Address}";
            }

            Information information = await daemon.CallAsync(calls => calls.GetInformationAsync(new InformationRequest())).ConfigureAwait(false);
            return string.Create(CultureInfo.InvariantCulture, $"daemon {information.ProcessId}, log {information.Log}{at}");
        }
        catch (ControlException exception) when (exception.Error == ControlError.Unavailable)
        {
            // Where it has little time, it is gone before it is asked.
            return $"the daemon has run and ended, log {DaemonProcess.LogPath}";
        }
    }

    private static Command Stop()
    {
        var force = new Option<bool>("-f", "--force") { Description = "Destroy guests that run." };
        var command = new Command("stop", "End the daemon; refused while it has guests, unless forced.") { force };
        command.SetAction(async (result, _) =>
        {
            using DaemonClient daemon = DaemonClient.TryFind() ?? throw new ControlException(ControlError.NotFound, "dbt: no daemon runs");
            await daemon.CallAsync(calls => calls.StopAsync(new StopRequest { Force = result.GetValue(force) })).ConfigureAwait(false);
            await AwaitEndAsync().ConfigureAwait(false);
            return ExitStatus.Success;
        });
        return command;
    }

    // Its lock is free when it is gone.
    private static async Task AwaitEndAsync()
    {
        string path = ControlFolder.Open(ControlFolder.DefaultPath).DaemonLock;
        for (DateTime end = DateTime.UtcNow + Patience; DateTime.UtcNow < end; await Task.Delay(Step).ConfigureAwait(false))
        {
            using DaemonLock? free = DaemonLock.TryTake(path);
            if (free is not null)
            {
                return;
            }
        }

        throw new ControlException(ControlError.Unavailable, $"the daemon still ends; its log: {DaemonProcess.LogPath}");
    }

    private static TimeSpan Idle(double? seconds)
    {
        const double least = 0.1, most = 1e6;
        double limit = seconds ?? (Environment.GetEnvironmentVariable("DBT_DAEMON_IDLE") is { Length: > 0 } text
            ? double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double given) ? given : -1
            : DefaultIdleSeconds);
        return limit is >= least and <= most ? TimeSpan.FromSeconds(limit)
            : throw new ControlException(ControlError.Invalid, "--idle, or DBT_DAEMON_IDLE: a number of seconds is expected, 0.1 at least");
    }
}
