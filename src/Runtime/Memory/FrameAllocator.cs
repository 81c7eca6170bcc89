using Dbt.Translator.Memory;

namespace Dbt.Runtime.Memory;

/// <summary>
/// A buddy allocator of frame numbers: blocks of 2^order frames, aligned to their size, merged when given back, so that a
/// guest that frees and allocates in any order can't fragment the machine away. Not thread-safe; the machine holds its lock.
/// Frames above a high-water mark were never used and cost nothing.
/// </summary>
internal sealed unsafe class FrameAllocator : IDisposable
{
    /// <summary>Largest block: 2^18 frames, 1 GiB.</summary>
    public const int MaxOrder = 18;

    // How far a search under an address limit looks down one free list: a guest's request stays bounded.
    private const int SearchLimit = 4096;

    private readonly uint _count;
    private readonly uint[] _heads = new uint[MaxOrder + 1];
    private readonly nuint _linkBytes;
    private uint* _next;
    private uint* _previous;
    private byte* _order;
    private uint _highWater;

    /// <param name="count">Number of frames.</param>
    /// <param name="first">First frame that may be handed out, not 0: 0 ends a list.</param>
    public FrameAllocator(uint count, uint first)
    {
        _count = count;
        _highWater = first;
        _linkBytes = ((nuint)count * 4 + 4095) & ~(nuint)4095;
        _next = (uint*)HostMemory.Reserve(_linkBytes);
        _previous = (uint*)HostMemory.Reserve(_linkBytes);
        _order = HostMemory.Reserve(_linkBytes);
    }

    /// <summary>Frames from here on were never handed out.</summary>
    public uint HighWater => _highWater;

    /// <summary>Takes a block of 2^<paramref name="order"/> frames that ends at or below <paramref name="limit"/>.</summary>
    public bool TryTake(int order, uint limit, out uint frame)
    {
        uint size = 1u << order;
        for (int have = order; have <= MaxOrder; have++)
        {
            uint found = _heads[have];
            for (int steps = 0; found != 0 && (found > limit || limit - found < size) && steps < SearchLimit; steps++)
            {
                found = _next[found];
            }

            if (found == 0 || found > limit || limit - found < size)
            {
                continue;
            }

            Unlink(found, have);
            while (have > order)
            {
                have--;
                Link(found + (1u << have), have);
            }

            frame = found;
            return true;
        }

        return TryTakeUnused(size, Math.Min(limit, _count), out frame);
    }

    /// <summary>Takes one given frame.</summary>
    /// <returns>False where it isn't free, or is none that may be handed out.</returns>
    public bool TryTakeGiven(uint frame)
    {
        if (frame == 0 || frame >= _count)
        {
            return false;
        }

        if (frame >= _highWater)
        {
            Raise(frame);
            _highWater = frame + 1;
            return true;
        }

        for (int order = 0; order <= MaxOrder; order++)
        {
            uint start = frame & ~((1u << order) - 1);
            if (start == 0 || _order[start] != order + 1)
            {
                continue;
            }

            // Split, keeping the half that the frame is in.
            Unlink(start, order);
            while (order > 0)
            {
                order--;
                uint half = start + (1u << order);
                Link(frame < half ? half : start, order);
                start = frame < half ? start : half;
            }

            return true;
        }

        return false;
    }

    /// <summary>Gives one frame back.</summary>
    public void Give(uint frame) => GiveBlock(frame, 0);

    public void Dispose()
    {
        if (_next != null)
        {
            HostMemory.Release((byte*)_next, _linkBytes);
            HostMemory.Release((byte*)_previous, _linkBytes);
            HostMemory.Release(_order, _linkBytes);
            _next = null;
        }
    }

    private bool TryTakeUnused(uint size, uint limit, out uint frame)
    {
        ulong start = ((ulong)_highWater + size - 1) & ~((ulong)size - 1);
        if (start + size > limit)
        {
            frame = 0;
            return false;
        }

        Raise((uint)start);
        _highWater = (uint)(start + size);
        frame = (uint)start;
        return true;
    }

    // What is skipped becomes free blocks, each as large as its own alignment and the gap allow.
    private void Raise(uint start)
    {
        while (_highWater < start)
        {
            int order = Math.Min(System.Numerics.BitOperations.TrailingZeroCount(_highWater), MaxOrder);
            while (_highWater + (1ul << order) > start)
            {
                order--;
            }

            Link(_highWater, order);
            _highWater += 1u << order;
        }
    }

    private void GiveBlock(uint frame, int order)
    {
        while (order < MaxOrder)
        {
            uint buddy = frame ^ (1u << order);
            if (buddy == 0 || buddy >= _highWater || _order[buddy] != order + 1)
            {
                break;
            }

            Unlink(buddy, order);
            frame &= ~(1u << order);
            order++;
        }

        // Frame 0 would read as the end of a list; its buddy is never free, so no merged block starts there.
        Link(frame, order);
    }

    private void Link(uint frame, int order)
    {
        uint head = _heads[order];
        _order[frame] = (byte)(order + 1);
        _next[frame] = head;
        _previous[frame] = 0;
        if (head != 0)
        {
            _previous[head] = frame;
        }

        _heads[order] = frame;
    }

    private void Unlink(uint frame, int order)
    {
        uint next = _next[frame], previous = _previous[frame];
        if (previous != 0)
        {
            _next[previous] = next;
        }
        else
        {
            _heads[order] = next;
        }

        if (next != 0)
        {
            _previous[next] = previous;
        }

        _order[frame] = 0;
    }
}
