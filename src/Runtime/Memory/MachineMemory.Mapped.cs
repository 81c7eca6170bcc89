using System.Numerics;
using Dbt.Translator.Memory;

namespace Dbt.Runtime.Memory;

/// <content>Frames that begin as parts of a file, whose pages they share with others until they are written.</content>
public sealed unsafe partial class MachineMemory
{
    // By their first frame; under the lock.
    private readonly SortedList<uint, FrameMapping> _mappings = [];

    /// <summary>Takes contiguous frames whose contents are those of a file, copy-on-write.</summary>
    /// <param name="file">The file, which may be disposed of afterwards.</param>
    /// <param name="offset">Of the first frame's first byte in it; a multiple of 4096.</param>
    /// <param name="count">How many; a power of two, 2^<see cref="MaxOrder"/> at most.</param>
    /// <param name="first">The first frame.</param>
    /// <returns>False where the machine has no such block, or the host can't map it.</returns>
    public bool TryAllocateMapped(MemoryFile file, ulong offset, uint count, out uint first)
    {
        lock (_lock)
        {
            if (!BitOperations.IsPow2(count) || count > 1u << MaxOrder || !_allocator.TryTake(BitOperations.Log2(count), FrameCount, out first))
            {
                first = 0;
                return false;
            }

            if (!file.TryMapPrivate(Frame(first), offset, (nuint)count << 12))
            {
                GiveAll(first, count);
                first = 0;
                return false;
            }

            _taken += count;
            _mappings.Add(first, new FrameMapping(first, count));
            return true;
        }
    }

    /// <summary>Frames that are zero and take no memory of the host's. Of those of a file that are not written nobody can say so.</summary>
    public UntouchedFrames FindUntouched() => new(this, _file, HighWater);

    /// <summary>Does something with each range of frames that began as a file's.</summary>
    internal void ForEachMapped(Action<FrameMapping> action)
    {
        lock (_lock)
        {
            foreach (FrameMapping mapping in _mappings.Values)
            {
                action(mapping);
            }
        }
    }

    private FrameMapping? FindMapping(uint mfn)
    {
        IList<uint> firsts = _mappings.Keys;
        int low = 0, high = firsts.Count - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            FrameMapping mapping = _mappings.Values[middle];
            if (mfn < mapping.First)
            {
                high = middle - 1;
            }
            else if (mfn - mapping.First >= mapping.Count)
            {
                low = middle + 1;
            }
            else
            {
                return mapping;
            }
        }

        return null;
    }

    private void Retire(FrameMapping mapping)
    {
        if (--mapping.InUse != 0)
        {
            return;
        }

        // A host that can't map anything more can't map this anew either: then these frames are lost, and nobody reads what was in them.
        if (_file.TryRenew((ulong)mapping.First << 12, (nuint)mapping.Count << 12))
        {
            _mappings.Remove(mapping.First);
            GiveAll(mapping.First, mapping.Count);
            _taken -= mapping.Count;
        }
    }

    private void GiveAll(uint first, uint count)
    {
        for (uint i = 0; i < count; i++)
        {
            _allocator.Give(first + i);
        }
    }
}
