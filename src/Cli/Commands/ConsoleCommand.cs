using System.CommandLine;
using System.Runtime.InteropServices;
using Dbt.Cli.Api;
using Dbt.Cli.Control;
using Dbt.Cli.Terminal;
using Google.Protobuf;
using Grpc.Core;

namespace Dbt.Cli.Commands;

/// <summary><c>dbt console</c>.</summary>
internal static class ConsoleCommand
{
    private const int ControlMask = 0x1F;

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        Argument<string> domain = GuestCall.DomainArgument();
        var type = new Option<string?>("-t", "--type") { Description = "pv, which is all that guests have.", HelpName = "TYPE" };
        var number = new Option<int>("-n", "--num") { Description = "Its number: 0, as there is one.", HelpName = "N" };
        var escape = new Option<string?>("-e", "--escape") { Description = "The key that leaves, with Ctrl, instead of ].", HelpName = "CHAR" };
        var command = new Command("console", "Attach to a guest's console; ^] leaves, and the guest runs on. What it wrote before is shown first.") { domain, type, number, escape };
        command.SetAction(async (result, _) =>
        {
            if (result.GetValue(type) is not (null or "pv"))
            {
                throw new ControlException(ControlError.Invalid, $"a guest has no console of type '{result.GetValue(type)}', only pv");
            }

            if (result.GetValue(number) != 0)
            {
                throw new ControlException(ControlError.Invalid, $"a guest has no console {result.GetValue(number)}, only 0");
            }

            string key = result.GetValue(escape) ?? "]";
            string plain = key.Length == 2 && key[0] == '^' ? key[1..] : key;
            if (plain.Length != 1 || char.ToUpperInvariant(plain[0]) is < '@' or > '_')
            {
                throw new ControlException(ControlError.Invalid, $"'{key}' is no key: one of @ A to Z [ \\ ] ^ _ is expected");
            }

            return await AttachAsync(result.GetValue(domain)!, (byte)(char.ToUpperInvariant(plain[0]) & ControlMask)).ConfigureAwait(false);
        });
        return command;
    }

    /// <summary>Attaches standard input and output to a guest's console, until the user leaves or the guest has ended for good.</summary>
    /// <param name="domain">Its name or id.</param>
    /// <param name="escape">The key that leaves.</param>
    /// <param name="unpause">Whether it is paused, and goes on once its console is attached: nothing of what it says is missed then.</param>
    /// <returns>The exit status.</returns>
    /// <exception cref="ControlException">There is no such guest.</exception>
    public static async Task<int> AttachAsync(string domain, byte escape, bool unpause = false)
    {
        using ControlClient client = await ControlClient.FindAsync(ControlFolder.Open(ControlFolder.DefaultPath), domain).ConfigureAwait(false);
        using var left = new CancellationTokenSource();
        int status = ExitStatus.Success;
        using PosixSignalRegistration interrupt = Ends(PosixSignal.SIGINT, 2), quit = Ends(PosixSignal.SIGQUIT, 3), terminate = Ends(PosixSignal.SIGTERM, 15),
            hangUp = Ends(PosixSignal.SIGHUP, 1);
        using Stream output = StandardStreams.OpenOutput();
        using RawTerminal? terminal = RawTerminal.TryEnter();
        try
        {
            using AsyncDuplexStreamingCall<ConsoleInput, ConsoleOutput> call = client.Calls.Console(cancellationToken: left.Token);
            await call.RequestStream.WriteAsync(new ConsoleInput { Domain = client.Id }, left.Token).ConfigureAwait(false);
            var pump = new InputPump(StandardStreams.OpenInput(), terminal is null ? null : left.Cancel, escape);
            pump.Start(bytes => Send(call, bytes, left.Token));
            while (await call.ResponseStream.MoveNext(left.Token).ConfigureAwait(false))
            {
                if (unpause)
                {
                    unpause = false;
                    await client.CallAsync((calls, id, deadline) => calls.UnpauseAsync(new DomainRequest { Domain = id }, deadline: deadline)).ConfigureAwait(false);
                }

                output.Write(call.ResponseStream.Current.Data.Span);
                output.Flush();
            }
        }
        catch (Exception exception) when (left.IsCancellationRequested && exception is OperationCanceledException or RpcException)
        {
            // The user left.
        }
        catch (RpcException exception) when (exception.StatusCode is StatusCode.NotFound)
        {
            throw ControlErrors.From(exception, domain);
        }
        catch (RpcException exception)
        {
            // Its process ended: with its guest, or by a crash, which the user is to hear of.
            if (exception.StatusCode is not (StatusCode.Unavailable or StatusCode.Cancelled))
            {
                throw ControlErrors.From(exception, domain);
            }
        }

        return status;

        PosixSignalRegistration Ends(PosixSignal signal, int number) => PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            status = ExitStatus.Signal(number);
            left.Cancel();
        });
    }

    private static void Send(AsyncDuplexStreamingCall<ConsoleInput, ConsoleOutput> call, ReadOnlySpan<byte> bytes, CancellationToken left)
    {
        try
        {
            if (!bytes.IsEmpty)
            {
                call.RequestStream.WriteAsync(new ConsoleInput { Data = ByteString.CopyFrom(bytes) }, left).GetAwaiter().GetResult();
            }
        }
        catch (Exception exception) when (exception is RpcException or OperationCanceledException or InvalidOperationException)
        {
            // The console has ended; so does the command.
        }
    }
}
