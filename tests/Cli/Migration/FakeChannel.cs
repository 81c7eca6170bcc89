using System.Collections.Concurrent;
using Dbt.Cli.Migration;

namespace Dbt.Tests.Cli.Migration;

/// <summary>What is under way between two ends: a queue each way, each of which ends once.</summary>
internal sealed class FakeWire
{
    public BlockingCollection<(FrameType Type, byte[] Payload)> Forward { get; } = [];

    public BlockingCollection<(FrameType Type, byte[] Payload)> Backward { get; } = [];

    /// <summary>Nothing more comes either way; what is under way may be lost with it.</summary>
    public void Cut(bool loses)
    {
        foreach (BlockingCollection<(FrameType, byte[])> queue in (BlockingCollection<(FrameType, byte[])>[])[Forward, Backward])
        {
            queue.CompleteAdding();
            while (loses && queue.TryTake(out _))
            {
            }
        }
    }
}

/// <summary>One end of a <see cref="FakeWire"/>.</summary>
internal sealed class FakeChannel(FakeWorld world, FakeWorld.Side side, FakeWire wire, bool forward, bool counted, bool broken) : IFrameChannel
{
    private byte[] _last = [];

    public FakeWorld.Side Side { get; } = side;

    public void Send(FrameType type, ReadOnlySpan<byte> payload)
    {
        Side.Act();
        bool? cut = counted ? world.CountFrame() : broken ? false : null;
        if (cut != false)
        {
            Put(type, payload.ToArray());
        }

        if (cut is { } arrives)
        {
            wire.Cut(loses: !arrives);
        }
    }

    public FrameType Receive(out ReadOnlySpan<byte> payload)
    {
        Side.Act();
        (FrameType Type, byte[] Payload) frame;
        try
        {
            frame = (forward ? wire.Backward : wire.Forward).Take();
        }
        catch (InvalidOperationException)
        {
            Side.Act();
            throw new IOException("the connection is lost");
        }

        Side.Act();
        payload = _last = frame.Payload;
        return frame.Type;
    }

    public void EndSending()
    {
        Side.Act();
        (forward ? wire.Forward : wire.Backward).CompleteAdding();
    }

    public void Limit(TimeSpan? time)
    {
    }

    // As a socket: what was sent arrives, then the end.
    public void Dispose() => wire.Cut(loses: false);

    private void Put(FrameType type, byte[] payload)
    {
        try
        {
            (forward ? wire.Forward : wire.Backward).Add((type, payload));
        }
        catch (InvalidOperationException exception)
        {
            throw new IOException("the connection is lost", exception);
        }
    }
}
