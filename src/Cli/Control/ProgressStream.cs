using System.Threading.Channels;
using Dbt.Cli.Api;
using Grpc.Core;

namespace Dbt.Cli.Control;

/// <summary>Long work whose progress goes to a client. A client that doesn't read misses some; one that leaves ends the work.</summary>
internal static class ProgressStream
{
    private const int Waiting = 16;

    /// <summary>Runs it.</summary>
    /// <param name="stream">To the client.</param>
    /// <param name="context">The call.</param>
    /// <param name="work">Gets what to report with; its result is sent last.</param>
    public static async Task RunAsync(IServerStreamWriter<Progress> stream, ServerCallContext context, Func<Action<Progress>, CancellationToken, Task<Progress?>> work)
    {
        var reports = Channel.CreateBounded<Progress>(new BoundedChannelOptions(Waiting) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
        Task<Progress?> running = Task.Run(async () =>
        {
            try
            {
                return await work(report => reports.Writer.TryWrite(report), context.CancellationToken).ConfigureAwait(false);
            }
            finally
            {
                reports.Writer.Complete();
            }
        });
        try
        {
            await foreach (Progress report in reports.Reader.ReadAllAsync(CancellationToken.None).ConfigureAwait(false))
            {
                if (!context.CancellationToken.IsCancellationRequested)
                {
                    await stream.WriteAsync(report, CancellationToken.None).ConfigureAwait(false);
                }
            }
        }
        catch (Exception exception) when (exception is InvalidOperationException or IOException)
        {
            // The client has left, of which the work hears too.
        }

        try
        {
            if (await running.ConfigureAwait(false) is { } last)
            {
                await stream.WriteAsync(last, CancellationToken.None).ConfigureAwait(false);
            }
        }
        catch (Exception exception) when (ControlErrors.Of(exception) is { } status)
        {
            throw new RpcException(status);
        }
        catch (OperationCanceledException)
        {
            throw new RpcException(new Status(StatusCode.Cancelled, "it was ended"));
        }
    }
}
