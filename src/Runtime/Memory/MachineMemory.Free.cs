using Dbt.Translator.Memory;

namespace Dbt.Runtime.Memory;

/// <content>Giving frames back.</content>
public sealed unsafe partial class MachineMemory
{
    [ThreadStatic]
    private static FreedFrames? t_freed;

    /// <summary>
    /// Until it is disposed of, frames that the calling thread frees are given back by runs of those that follow one another: a system call each, of which
    /// a domain that ends would make a hundred thousand. Not within another.
    /// </summary>
    public IDisposable FreeByRuns() => t_freed = new FreedFrames(this);

    /// <summary>Gives a frame back; its contents are wiped, and the host gets its memory back.</summary>
    public void Free(uint mfn)
    {
        CodeMap.Written(Frame(mfn), PageSize);
        if (t_freed is { } freed && freed.Machine == this)
        {
            freed.Add(mfn);
        }
        else
        {
            Give(mfn, 1);
        }
    }

    private void Give(uint first, uint count)
    {
        lock (_lock)
        {
            Discard(first, count);
            for (uint mfn = first; mfn < first + count; mfn++)
            {
                if (_mappings.Count != 0 && FindMapping(mfn) is { } mapping)
                {
                    Retire(mapping);
                    continue;
                }

                _allocator.Give(mfn);
                _taken--;
            }
        }
    }

    private void Discard(uint first, uint count)
    {
        if (_mappings.Count == 0)
        {
            _file.Discard((ulong)first << 12, (nuint)count * PageSize);
            return;
        }

        for (uint mfn = first; mfn < first + count; mfn++)
        {
            if (FindMapping(mfn) is not null)
            {
                HostMemory.Discard(Frame(mfn), PageSize);
            }
            else
            {
                _file.Discard((ulong)mfn << 12, PageSize);
            }
        }
    }

    private sealed class FreedFrames(MachineMemory machine) : IDisposable
    {
        private uint _first, _count;

        public MachineMemory Machine { get; } = machine;

        public void Add(uint mfn)
        {
            if (_count == 0 || mfn != _first + _count)
            {
                Flush();
                _first = mfn;
            }

            _count++;
        }

        public void Dispose()
        {
            t_freed = null;
            Flush();
        }

        private void Flush()
        {
            if (_count != 0)
            {
                Machine.Give(_first, _count);
                _count = 0;
            }
        }
    }
}
