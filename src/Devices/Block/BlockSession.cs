using System.Diagnostics.CodeAnalysis;

namespace Dbt.Devices.Block;

/// <summary>A connection that is served: its queues, from the frontend's nodes to the last response.</summary>
internal sealed class BlockSession : IDisposable
{
    private readonly List<BlockQueue> _queues = [];

    private BlockSession(BlockConnection connection) => Connection = connection;

    /// <summary>What the frontend published.</summary>
    public BlockConnection Connection { get; }

    /// <summary>Connects all queues.</summary>
    /// <param name="disk">The disk.</param>
    /// <param name="connection">What the frontend published.</param>
    /// <param name="persistentGrants">Grants that each queue may keep, where the frontend reuses them.</param>
    /// <param name="drained">As <see cref="BlockQueue"/> has it, for any of the queues.</param>
    /// <param name="broken">As <see cref="BlockQueue"/> has it; the session's queue tells.</param>
    /// <param name="session">The session.</param>
    /// <param name="why">Why it can't be.</param>
    public static bool TryStart(
        BlockDisk disk, BlockConnection connection, int persistentGrants, Action drained, Action<BlockSession> broken,
        [NotNullWhen(true)] out BlockSession? session, [NotNullWhen(false)] out string? why)
    {
        session = new BlockSession(connection);
        BlockSession started = session;
        foreach (BlockConnection.Ring wanted in connection.Rings)
        {
            if (wanted.Map(disk.Frontend, connection.Protocol) is not { } ring)
            {
                why = "the ring's pages can't be mapped";
                return session.Abandon(out session);
            }

            var queue = new BlockQueue(disk, ring, connection.Persistent ? persistentGrants : 0, drained, () => broken(started));
            session._queues.Add(queue);
            if (!queue.TryConnect(wanted.Port))
            {
                why = $"event channel {wanted.Port} can't be connected";
                return session.Abandon(out session);
            }
        }

        session._queues.ForEach(static queue => queue.Start());
        why = null;
        return true;
    }

    /// <summary>Takes no more requests.</summary>
    /// <returns>Whether none is under way any more; otherwise "drained" is called when that may be so.</returns>
    public bool TryStop()
    {
        bool stopped = true;
        foreach (BlockQueue queue in _queues)
        {
            stopped &= queue.TryStop();
        }

        return stopped;
    }

    /// <summary>Does what is on the rings now, then stops. Waits for that.</summary>
    public void Finish() => _queues.ForEach(static queue => queue.Finish());

    /// <summary>Lets go of the guest's pages and ports. No request may be under way.</summary>
    public void Dispose() => _queues.ForEach(static queue => queue.Dispose());

    private bool Abandon(out BlockSession? session)
    {
        session = null;
        Dispose();
        return false;
    }
}
