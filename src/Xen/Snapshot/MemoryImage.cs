using System.Numerics;
using Dbt.Translator.Memory;
using Dbt.Xen.Abi;
using Dbt.Xen.Hvm;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Snapshot;

/// <summary>
/// The memory of a saved guest, once for all domains that are made of it: a page is a domain's own when it is first written. Domains keep what they need
/// of it, so it may be disposed of when the last one is made. A paravirtual guest has suspended itself: its page tables are each domain's own, with other
/// machine frames in them (<see cref="FrameRelocation"/>).
/// </summary>
public sealed unsafe class MemoryImage : IPageSink, IDisposable
{
    private readonly MemoryFile _file;
    private readonly uint[] _present;

    // Page numbers are below that.
    private readonly uint _end;
    private readonly uint _most;
    private readonly bool _isTranslated;
    private int _count;

    /// <summary>An empty one.</summary>
    /// <param name="header">Of the guest.</param>
    /// <exception cref="SnapshotException">It is a paravirtual one's that hasn't suspended itself.</exception>
    /// <exception cref="OutOfMemoryException">The host refuses.</exception>
    public MemoryImage(DomainHeader header)
    {
        if (!header.IsTranslated && header.Kind != ImageKind.Suspended)
        {
            throw new SnapshotException("a paravirtual guest that was saved live can't be cloned: it knows its memory by machine frames, which only one can have; save it with --kind suspended, or make it again by dbt restore");
        }

        _isTranslated = header.IsTranslated;
        _end = _isTranslated ? Physmap.Count : FrameNumbers.End;
        _present = new uint[_end / 32];
        _file = new MemoryFile(unchecked((nuint)((ulong)_end * Layout.PageSize)));
        _most = Math.Max(header.MaxPages, header.Pages);
    }

    /// <inheritdoc/>
    public uint PageCount => (uint)Volatile.Read(ref _count);

    /// <summary>The file; a page's place in it is its number.</summary>
    internal MemoryFile File => _file;

    /// <inheritdoc/>
    public Span<byte> Page(uint number)
    {
        if (number >= _end)
        {
            throw new SnapshotException(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"saved state: frame {number:x} is none"));
        }

        uint bit = 1u << (int)(number & 31);
        if ((Interlocked.Or(ref _present[number >> 5], bit) & bit) == 0 && (uint)Interlocked.Increment(ref _count) > _most)
        {
            throw new SnapshotException(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"saved state: it has more pages than the {_most} that it may have"));
        }

        return new Span<byte>(_file.Contents + ((nuint)number * Layout.PageSize), Layout.PageSize);
    }

    /// <summary>Gives a domain all pages that the state tells of.</summary>
    /// <exception cref="SnapshotException">The state is not good, or the machine has no memory left.</exception>
    internal void Populate(DomainMemory memory, StateReader state)
    {
        PageRuns runs = DomainMemory.ReadRuns(state, _isTranslated);
        if (runs.Total > memory.MaxPages)
        {
            throw new SnapshotException(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"saved state: it has more pages than the {memory.MaxPages} that it may have"));
        }

        // The host has only so many mappings for a process; what is small is copied.
        const uint leastPages = 16, mostMappings = 128;
        uint least = Math.Max(leastPages, BitOperations.RoundUpToPowerOf2((uint)(runs.Total / mostMappings)));
        for (int run = 0; run < runs.Count; run++)
        {
            for (uint next = runs.First(run); next < runs.End(run);)
            {
                uint left = runs.End(run) - next;
                uint count = Math.Min(1u << BitOperations.Log2(left), 1u << Runtime.Memory.MachineMemory.MaxOrder);
                if (count < least || !memory.TryAddMapped(_file, next, count))
                {
                    count = Math.Min(left, least);
                    Copy(memory, next, count);
                }

                next += count;
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private void Copy(DomainMemory memory, uint first, uint count)
    {
        for (uint number = first; number < first + count; number++)
        {
            uint mfn = memory.AddPageAt(number);
            if (mfn == 0)
            {
                throw new SnapshotException($"saved state: {memory.PageRefusal(number)}");
            }

            var page = new ReadOnlySpan<byte>(_file.Contents + ((nuint)number * Layout.PageSize), Layout.PageSize);
            if (IsPresent(number) && page.ContainsAnyExcept((byte)0))
            {
                page.CopyTo(new Span<byte>(memory.Domain.Hypervisor.Machine.Frame(mfn), Layout.PageSize));
            }
        }
    }

    // A look at a page that was never written would take memory for it.
    private bool IsPresent(uint number) => number < _end && (_present[number >> 5] & (1u << (int)(number & 31))) != 0;
}
