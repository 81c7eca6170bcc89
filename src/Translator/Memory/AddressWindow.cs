using System.Runtime.InteropServices;

namespace Dbt.Translator.Memory;

/// <summary>A page in an <see cref="AddressWindow"/>.</summary>
/// <param name="Page">Linear page.</param>
/// <param name="Host">Host address of the memory.</param>
/// <param name="Write">Whether it may be written.</param>
public readonly record struct WindowPage(uint Page, nint Host, bool Write);

/// <summary>
/// A guest's linear addresses as the host's own: 4 GiB of them, in which a page lies where the guest has it, with the rights of ring 3. Translated code reaches memory there without a look at
/// <see cref="SoftwareTlb"/>; the host's processor checks, and what isn't mapped faults (<see cref="Cache.FaultExits"/>).
/// <para>
/// While it is a software TLB's (<see cref="SoftwareTlb.Window"/>), it never holds what that doesn't: a page is mapped only from an entry that is there, and goes with it. Any thread may drop entries, so whoever maps looks
/// at the entry again once it has marked the page, and whoever drops looks for the mark afterwards.
/// </para>
/// </summary>
public sealed unsafe class AddressWindow : IDisposable
{
    /// <summary>Addresses before the first and behind the last page that never hold anything: operands whose displacement leads across either end fault there.</summary>
    public const int MarginBytes = 1 << 20;

    /// <summary>Pages of all windows of the process at most: it has so many mappings (vm.max_map_count, 65530 as Linux comes), and a page may need two.</summary>
    public const int MostPages = 28_000;

    private const int PageBytes = 4096;
    private const uint LastPage = (1 << 20) - 1;

    /// <summary>Pages that are mapped together, as far as they can be.</summary>
    internal const int GroupPages = 16;

    // What mapping, touching and taking away take a host (docs/PERFORMANCE.md), nanoseconds.
    private const ulong MapCost = 7000, TouchCost = 3400, HideCost = 6200, HideAllCost = 2300;

    private static readonly nuint SpanBytes = unchecked((nuint)(1UL << 32));
    private static int s_pages;

    private readonly Lock _lock = new();

    // A bit for each page that is in _pages.
    private readonly ulong[] _marks = new ulong[(1 << 20) / 64];
    private readonly List<WindowPage> _pages = [];
    private readonly Dictionary<uint, int> _places = [];
    private readonly byte* _memory;
    private int _count;
    private ulong _cost;

    private AddressWindow(byte* memory) => _memory = memory;

    /// <summary>Host address of linear address 0.</summary>
    public nint Base => (nint)(_memory + MarginBytes);

    /// <summary>What the host has spent on it, in nanoseconds, as near as can be said.</summary>
    internal ulong Cost => Volatile.Read(ref _cost);

    /// <summary>Whether the program whose it is goes by it.</summary>
    internal bool IsUsed { get; set; }

    /// <summary>Whether another page may be mapped.</summary>
    public static bool HasRoom => Volatile.Read(ref s_pages) < MostPages;

    /// <summary>Its pages, while nobody maps or drops any.</summary>
    public ReadOnlySpan<WindowPage> Pages => CollectionsMarshal.AsSpan(_pages);

    /// <summary>Makes an empty one.</summary>
    /// <returns>Null where the host has no such addresses.</returns>
    public static AddressWindow? Create()
    {
        byte* memory = HostMemory.ReserveAddresses(SpanBytes + (2 * MarginBytes));
        return memory == null ? null : new AddressWindow(memory);
    }

    /// <summary>
    /// Maps a page by its entries in the user half of a software TLB, as far as they allow, and those of its neighbours that have entries: a page takes the host as long by itself as a few of them together.
    /// </summary>
    /// <param name="tlb">The software TLB, whose window this is.</param>
    /// <param name="page">Linear page.</param>
    /// <returns>False where it can't be mapped at all: the memory is of another kind, or there is no room.</returns>
    public bool TryMap(SoftwareTlb tlb, uint page)
    {
        ArgumentNullException.ThrowIfNull(tlb);
        lock (_lock)
        {
            if (!HasRoom)
            {
                return false;
            }

            uint first = page & ~(uint)(GroupPages - 1), taken = 0;
            for (int i = 0; i < GroupPages; i++)
            {
                uint at = first + (uint)i;
                taken |= (at == page || !IsMarked(at)) && TryTake(tlb, at) ? 1u << i : 0;
            }

            bool mapped = true;
            for (uint at = 0; at < GroupPages;)
            {
                uint end = at;
                while (end < GroupPages && (taken >> (int)end & 1) != 0 && (end == at || Follows(first + end)))
                {
                    end++;
                }

                mapped &= end == at || TryMapRun(first + at, end - at) || page < first + at || page >= first + end;
                at = Math.Max(end, at + 1);
            }

            return mapped;
        }
    }

    /// <summary>An entry of the user half has been dropped or changed.</summary>
    public void Hide(uint page)
    {
        Interlocked.MemoryBarrier();
        if (IsMarked(page))
        {
            lock (_lock)
            {
                if (IsMarked(page))
                {
                    HideMarked(page);
                }
            }
        }
    }

    /// <summary>The entries of pages in a row have been dropped.</summary>
    public void Hide(uint first, uint count)
    {
        Interlocked.MemoryBarrier();
        for (uint i = 0; i < count; i++)
        {
            if (IsMarked((first + i) & LastPage))
            {
                lock (_lock)
                {
                    HideRange(first + i, count - i);
                }

                return;
            }
        }
    }

    /// <summary>All entries have been dropped, or all that allow writing.</summary>
    public void Clear()
    {
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref _count) != 0)
        {
            lock (_lock)
            {
                HideAll();
            }
        }
    }

    /// <summary>Its program does without it until it has proved itself again: takes all pages away.</summary>
    internal void Retire()
    {
        IsUsed = false;
        Clear();
        _cost = 0;
    }

    /// <summary>Adds to <see cref="Cost"/>.</summary>
    internal void Spend(ulong nanoseconds) => Interlocked.Add(ref _cost, nanoseconds);

    /// <inheritdoc/>
    public void Dispose()
    {
        Clear();
        HostMemory.Release(_memory, SpanBytes + (2 * MarginBytes));
    }

    private bool IsMarked(uint page) => (Volatile.Read(ref _marks[page >> 6]) >> (int)(page & 63) & 1) != 0;

    private byte* At(uint page) => _memory + MarginBytes + ((nint)page << 12);

    /// <summary>Marks a page that has an entry, and takes what that says now.</summary>
    private bool TryTake(SoftwareTlb tlb, uint page)
    {
        if (tlb.Entry(page, MemoryAccess.Read, user: true) == 0)
        {
            return false;
        }

        ref WindowPage taken = ref Mark(page);
        Interlocked.MemoryBarrier();
        long read = Volatile.Read(ref tlb.Entry(page, MemoryAccess.Read, user: true));
        taken = new WindowPage(page, (nint)(read + ((long)page << 12)), Volatile.Read(ref tlb.Entry(page, MemoryAccess.Write, user: true)) == read);
        if (read == 0)
        {
            HideMarked(page);
        }

        return read != 0;
    }

    /// <summary>Whether a page's memory is behind that of the page before it, with the same rights.</summary>
    private bool Follows(uint page) => _places.TryGetValue(page, out int at) && _places.TryGetValue(page - 1, out int before)
        && _pages[at].Write == _pages[before].Write && _pages[at].Host == _pages[before].Host + PageBytes;

    private bool TryMapRun(uint first, uint count)
    {
        // What was taken is gone again where a page could not be hidden by itself.
        if (!_places.TryGetValue(first, out int place))
        {
            return false;
        }

        WindowPage run = _pages[place];
        Spend(MapCost + (count * TouchCost));
        if (HostMemory.TryMapAgain(At(first), (byte*)run.Host, count * (nuint)PageBytes, run.Write))
        {
            return true;
        }

        for (uint page = first; page < first + count; page++)
        {
            HideMarked(page);
        }

        return false;
    }

    private ref WindowPage Mark(uint page)
    {
        ref int place = ref CollectionsMarshal.GetValueRefOrAddDefault(_places, page, out bool known);
        if (!known)
        {
            place = _pages.Count;
            _pages.Add(default);
            _marks[page >> 6] |= 1UL << (int)(page & 63);
            Count(1);
        }

        return ref CollectionsMarshal.AsSpan(_pages)[place];
    }

    private void HideRange(uint first, uint count)
    {
        Spend(HideCost + (Math.Min(count, (uint)_pages.Count) * HideAllCost));
        // One that goes around the end is rare.
        if (first + count > LastPage + 1 || !HostMemory.TryHide(At(first), count * (nuint)PageBytes))
        {
            HideAll();
            return;
        }

        for (uint page = first; page < first + count; page++)
        {
            Forget(page);
        }
    }

    private void HideMarked(uint page)
    {
        Spend(HideCost);
        // In the middle of others: the process may have no mapping left for what is on both sides of it.
        if (!HostMemory.TryHide(At(page), PageBytes))
        {
            HideAll();
            return;
        }

        Forget(page);
    }

    private void Forget(uint page)
    {
        if (!_places.Remove(page, out int place))
        {
            return;
        }

        WindowPage last = _pages[^1];
        if (place != _pages.Count - 1)
        {
            _pages[place] = last;
            _places[last.Page] = place;
        }

        _pages.RemoveAt(_pages.Count - 1);
        _marks[page >> 6] &= ~(1UL << (int)(page & 63));
        Count(-1);
    }

    private void HideAll()
    {
        Spend((ulong)_pages.Count * HideAllCost);
        if (!HostMemory.TryHide(_memory + MarginBytes, SpanBytes))
        {
            // What can't be taken away from the guest must not stay: there is no way on from here.
            Environment.FailFast("The host could not empty a guest's address window (mmap failed).");
        }

        foreach (WindowPage page in _pages)
        {
            _marks[page.Page >> 6] = 0;
        }

        Count(-_pages.Count);
        _pages.Clear();
        _places.Clear();
    }

    private void Count(int pages)
    {
        Volatile.Write(ref _count, _count + pages);
        Interlocked.Add(ref s_pages, pages);
    }
}
