using System.Collections.Concurrent;
using Dbt.Devices.Network;

namespace Dbt.Tests.Devices.Network;

/// <summary>What a card is plugged into, or a card: keeps the frames it gets, and can be full.</summary>
internal sealed class FakeCable : INetworkBackend
{
    private int _room = int.MaxValue;

    public event Action? RoomAvailable;

    public ConcurrentQueue<(byte[] Frame, FrameOffload Offload)> Frames { get; } = new();

    public LinkFeatures Features { get; set; } = new(true, true, true);

    public INetworkEnd? Guest { get; private set; }

    public bool IsDisposed { get; private set; }

    public int Discards { get; private set; }

    /// <summary>How many frames it takes before it refuses; setting it tells who was refused.</summary>
    public int Room
    {
        get => _room;
        set
        {
            _room = value;
            RoomAvailable?.Invoke();
        }
    }

    public void Connect(INetworkEnd guest) => Guest = guest;

    public void Discard() => Discards++;

    public bool Send(ReadOnlySpan<byte> frame, FrameOffload offload)
    {
        if (Interlocked.Decrement(ref _room) < 0)
        {
            Interlocked.Increment(ref _room);
            return false;
        }

        Frames.Enqueue((frame.ToArray(), offload));
        return true;
    }

    public void Dispose() => IsDisposed = true;

    /// <summary>Waits for the next frame.</summary>
    public (byte[] Frame, FrameOffload Offload) Take()
    {
        (byte[], FrameOffload) taken = default;
        Assert.True(SpinWait.SpinUntil(() => Frames.TryDequeue(out taken), TimeSpan.FromSeconds(30)), "no frame");
        return taken;
    }
}
