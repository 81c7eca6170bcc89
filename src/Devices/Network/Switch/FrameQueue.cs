using System.Buffers;

namespace Dbt.Devices.Network.Switch;

/// <summary>Frames that wait for a slow receiver: copies, bounded in number and bytes. Not thread-safe.</summary>
internal sealed class FrameQueue(int maxBytes = FrameQueue.UsualBytes)
{
    /// <summary>Most frames.</summary>
    public const int MaxFrames = 512;

    private const int UsualBytes = 4 << 20;

    private readonly Queue<(byte[] Buffer, int Length, FrameOffload Offload)> _frames = [];
    private int _bytes;

    /// <summary>Whether nothing waits.</summary>
    public bool IsEmpty => _frames.Count == 0;

    /// <summary>Frames that wait.</summary>
    public int Count => _frames.Count;

    /// <summary>Goes over all, the one that has waited longest first.</summary>
    public IEnumerable<(ReadOnlyMemory<byte> Frame, FrameOffload Offload)> All =>
        _frames.Select(static frame => ((ReadOnlyMemory<byte>)frame.Buffer.AsMemory(0, frame.Length), frame.Offload));

    /// <summary>Keeps a copy of a frame.</summary>
    /// <returns>False where there is no room.</returns>
    public bool TryAdd(ReadOnlySpan<byte> frame, FrameOffload offload)
    {
        if (_frames.Count >= MaxFrames || _bytes + frame.Length > maxBytes)
        {
            return false;
        }

        byte[] buffer = ArrayPool<byte>.Shared.Rent(frame.Length);
        frame.CopyTo(buffer);
        _frames.Enqueue((buffer, frame.Length, offload));
        _bytes += frame.Length;
        return true;
    }

    /// <summary>The frame that has waited longest; valid until it is removed.</summary>
    public ReadOnlySpan<byte> Peek(out FrameOffload offload)
    {
        (byte[] buffer, int length, offload) = _frames.Peek();
        return buffer.AsSpan(0, length);
    }

    /// <summary>Removes the frame that has waited longest.</summary>
    public void Remove()
    {
        (byte[] buffer, int length, _) = _frames.Dequeue();
        _bytes -= length;
        ArrayPool<byte>.Shared.Return(buffer);
    }

    /// <summary>Removes all.</summary>
    public void Clear()
    {
        while (!IsEmpty)
        {
            Remove();
        }
    }
}
