using System.Runtime.InteropServices;

namespace Dbt.Cli.Commands;

/// <summary>Work that the user can end with Ctrl-C, tidily.</summary>
internal static class Cancellable
{
    /// <summary>Runs it.</summary>
    /// <returns>What it returns; the signal's exit status if one ended it.</returns>
    public static int Run(Func<CancellationToken, int> work)
    {
        using var source = new CancellationTokenSource();
        int signal = 0;
        using PosixSignalRegistration interrupt = Ends(PosixSignal.SIGINT, 2), terminate = Ends(PosixSignal.SIGTERM, 15), hangUp = Ends(PosixSignal.SIGHUP, 1);
        try
        {
            return work(source.Token);
        }
        catch (OperationCanceledException)
        {
            Console.Error.WriteLine("dbt: interrupted; what was downloaded is kept");
            return ExitStatus.Signal(signal == 0 ? 2 : signal);
        }

        PosixSignalRegistration Ends(PosixSignal kind, int number) => PosixSignalRegistration.Create(kind, context =>
        {
            context.Cancel = true;
            signal = number;
            source.Cancel();
        });
    }
}
