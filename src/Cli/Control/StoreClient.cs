using Dbt.Cli.Api;
using Dbt.Cli.Hosting;
using Grpc.Core;
using Grpc.Net.Client;

namespace Dbt.Cli.Control;

/// <summary>A connection to a process's xenstore, and finding it.</summary>
internal sealed class StoreClient : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);
    private readonly GrpcChannel _channel;
    private readonly Store.StoreClient _calls;

    private StoreClient(string socket)
    {
        _channel = ControlClient.Channel(socket);
        _calls = new Store.StoreClient(_channel);
    }

    /// <summary>The daemon's store; where no daemon runs, that of the one process that runs a guest.</summary>
    /// <exception cref="ControlException">There is none, or several.</exception>
    /// <exception cref="IOException">The folder isn't this user's alone.</exception>
    public static StoreClient Find()
    {
        var folder = ControlFolder.Open(ControlFolder.DefaultPath);
        using (DaemonClient? daemon = DaemonClient.TryFind())
        {
            if (daemon is not null)
            {
                return new StoreClient(folder.DaemonSocket);
            }
        }

        IReadOnlyList<(string Path, int ProcessId)> sockets = folder.Sockets();
        return sockets.Count switch
        {
            1 => new StoreClient(sockets[0].Path),
            0 => throw new ControlException(ControlError.Unavailable, "there is no xenstore: neither the daemon nor a guest runs"),
            _ => throw new ControlException(ControlError.Invalid, $"no daemon runs, and {sockets.Count} processes that run a guest have a xenstore each; name a guest by --of"),
        };
    }

    /// <summary>The store of the process that holds a guest.</summary>
    /// <exception cref="ControlException">There is no such guest.</exception>
    public static async Task<StoreClient> FindAsync(string domain)
    {
        var folder = ControlFolder.Open(ControlFolder.DefaultPath);
        using ControlClient client = await ControlClient.FindAsync(folder, domain).ConfigureAwait(false);
        int process = (int)client.Domain.ProcessId;
        string? own = folder.Sockets().Where(socket => socket.ProcessId == process).Select(socket => socket.Path).FirstOrDefault();
        return new StoreClient(own ?? folder.DaemonSocket);
    }

    /// <summary>Carries out operations as one transaction.</summary>
    /// <exception cref="ControlException">The process is gone.</exception>
    public async Task<StoreReply> TransactAsync(IEnumerable<StoreOperation> operations)
    {
        try
        {
            return await _calls.TransactAsync(new StoreRequest { Operations = { operations } }, deadline: DateTime.UtcNow + Limit);
        }
        catch (RpcException exception)
        {
            throw ControlErrors.From(exception, "xenstore");
        }
    }

    /// <summary>A node and all below it.</summary>
    /// <exception cref="ControlException">There is no such node, or the process is gone.</exception>
    public IAsyncEnumerable<StoreNode> Tree(string path) => Read(_calls.GetTree(new StoreTreeRequest { Path = path }));

    /// <summary>What changes, until the caller has enough.</summary>
    /// <exception cref="ControlException">A path can't be watched, changes came too fast, or the process is gone.</exception>
    public async IAsyncEnumerable<string> Watch(IEnumerable<string> paths)
    {
        await foreach (StoreEvent change in Read(_calls.Watch(new StoreWatchRequest { Paths = { paths } })).ConfigureAwait(false))
        {
            yield return change.Path;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _channel.Dispose();

    private static async IAsyncEnumerable<T> Read<T>(AsyncServerStreamingCall<T> stream)
    {
        using AsyncServerStreamingCall<T> call = stream;
        while (true)
        {
            try
            {
                if (!await call.ResponseStream.MoveNext(CancellationToken.None).ConfigureAwait(false))
                {
                    yield break;
                }
            }
            catch (RpcException exception)
            {
                throw ControlErrors.From(exception, "xenstore");
            }

            yield return call.ResponseStream.Current;
        }
    }
}
