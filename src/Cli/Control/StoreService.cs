using System.Threading.Channels;
using Dbt.Cli.Api;
using Dbt.Devices.Store;
using Google.Protobuf;
using Grpc.Core;

namespace Dbt.Cli.Control;

/// <summary>The contract's Store on the store of this process.</summary>
internal sealed class StoreService(ControlServices services) : Store.StoreBase
{
    // Changes that a watcher hasn't read yet.
    private const int WaitingEvents = 4096;
    private const string Home = "/local/domain/0/";

    private XenStore Nodes => services.Guests.Store;

    /// <inheritdoc/>
    public override Task<StoreReply> Transact(StoreRequest request, ServerCallContext context)
    {
        var reply = new StoreReply();
        StoreError error = Nodes.Transact(batch =>
        {
            foreach (StoreOperation operation in request.Operations)
            {
                StoreError refused = Do(batch, operation, out StoreResult result);
                if (refused != StoreError.None)
                {
                    return refused;
                }

                reply.Results.Add(result);
            }

            return StoreError.None;
        });
        reply.Error = error == StoreError.None ? "" : error.ToString();
        return Task.FromResult(reply);
    }

    /// <inheritdoc/>
    public override async Task GetTree(StoreTreeRequest request, IServerStreamWriter<StoreNode> responseStream, ServerCallContext context)
    {
        List<StoreEntry> nodes = [];
        StoreError error = Nodes.Transact(batch =>
        {
            StoreError found = batch.Tree(request.Path, out IEnumerable<StoreEntry> tree);
            nodes.AddRange(tree);
            return found;
        });
        if (error != StoreError.None)
        {
            throw new RpcException(new Status(error == StoreError.ENOENT ? StatusCode.NotFound : StatusCode.InvalidArgument, $"{request.Path}: {error}"));
        }

        foreach (StoreEntry node in nodes)
        {
            await responseStream.WriteAsync(
                new StoreNode
                {
                    Path = node.Path,
                    Value = ByteString.CopyFrom(node.Value.Span),
                    Permissions = { node.Permissions.Select(static permission => permission.ToString()) },
                },
                context.CancellationToken).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public override async Task Watch(StoreWatchRequest request, IServerStreamWriter<StoreEvent> responseStream, ServerCallContext context)
    {
        var events = Channel.CreateBounded<string>(WaitingEvents);
        var watches = new List<IDisposable>();
        try
        {
            foreach (string path in request.Paths)
            {
                watches.Add(Add(path, events.Writer));
            }

            await foreach (string path in events.Reader.ReadAllAsync(context.CancellationToken).ConfigureAwait(false))
            {
                await responseStream.WriteAsync(new StoreEvent { Path = path }, context.CancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or InvalidOperationException && context.CancellationToken.IsCancellationRequested)
        {
            // The watcher has left.
        }
        finally
        {
            watches.ForEach(static watch => watch.Dispose());
        }
    }

    private static StoreError Do(StoreBatch batch, StoreOperation operation, out StoreResult result)
    {
        result = new StoreResult();
        switch (operation.WhatCase)
        {
            case StoreOperation.WhatOneofCase.Read:
                StoreError error = batch.Read(operation.Path, out byte[] value);
                result.Value = ByteString.CopyFrom(value);
                return error;
            case StoreOperation.WhatOneofCase.List:
                error = batch.List(operation.Path, out IReadOnlyList<string> names);
                result.Names.Add(names);
                return error;
            case StoreOperation.WhatOneofCase.Write:
                return batch.Write(operation.Path, operation.Write.Value.Span);
            case StoreOperation.WhatOneofCase.Remove:
                return batch.Remove(operation.Path, operation.Remove.Tidy);
            case StoreOperation.WhatOneofCase.SetPermissions:
                var permissions = new List<StorePermission>();
                foreach (string text in operation.SetPermissions.Permissions)
                {
                    if (!StorePermission.TryParse(text, out StorePermission permission))
                    {
                        return StoreError.EINVAL;
                    }

                    permissions.Add(permission);
                }

                return batch.SetPermissions(operation.Path, permissions, operation.SetPermissions.Above, operation.SetPermissions.Below);
            default:
                return StoreError.ENOSYS;
        }
    }

    private IDisposable Add(string path, ChannelWriter<string> events)
    {
        bool relative = path.Length > 0 && path[0] is not ('/' or '@');
        string whole = relative ? Home + path : path;
        if (!XenStore.CanWatch(whole))
        {
            throw new RpcException(new Status(StatusCode.InvalidArgument, $"{path}: {StoreError.EINVAL}"));
        }

        return Nodes.Watch(whole, changed =>
        {
            // Called by whoever changed it, who never waits.
            if (!events.TryWrite(relative ? changed[Home.Length..] : changed))
            {
                events.TryComplete(new RpcException(new Status(StatusCode.ResourceExhausted, "changes came faster than they were read")));
            }
        });
    }
}
