using System.Runtime.CompilerServices;
using Dbt.Translator.State;

namespace Dbt.Translator.Memory;

/// <summary>What an access wants to do.</summary>
public enum MemoryAccess
{
    /// <summary>Data read.</summary>
    Read = 0,

    /// <summary>Data write, or the read of a read-modify-write.</summary>
    Write = 1,

    /// <summary>Instruction fetch.</summary>
    Execute = 2,
}

/// <summary>
/// The software MMU's fast path: a direct table per address space with one 8-byte entry per 4-KiB linear page,
/// separately for reading, writing and executing, and for supervisor (CPL 0 to 2) and user (CPL 3).
/// An entry is <c>host address - guest linear address</c> of the page, so host = entry + linear; 0 means "ask
/// <see cref="Platform.TryResolve"/>". Layout from <see cref="Root"/>: supervisor read, write, execute tables of
/// <see cref="TableBytes"/> each, then the same for user. The memory is reserved, not committed, until touched.
/// </summary>
public sealed unsafe class SoftwareTlb : IDisposable
{
    /// <summary>Bytes of one table: 2^20 entries of 8 bytes.</summary>
    public const int TableBytes = 8 << 20;

    /// <summary>
    /// Distance from a half's tables to its generation, a number that no other tables have and that is new whenever an execute entry is
    /// dropped or changed: who has compared entries need not do so again while it stays.
    /// </summary>
    public const int GenerationOffset = 3 * TableBytes;

    /// <summary>Distance from the supervisor tables to the user tables.</summary>
    public const int HalfBytes = GenerationOffset + 4096;

    // One bit per page: it is in _filled; then one for _filledGlobal.
    private const int TrackedBytes = 1 << 17;
    private const int TotalBytes = (2 * HalfBytes) + (2 * TrackedBytes);
    private const int TrackedPages = 1 << 15;

    // How many pages with write entries are noted before it is looked whether they still have them.
    private const int WrittenPages = 1 << 12;

    private const int HostPage = 4096;

    // Of a generation: the upper bits are the tables' own number.
    private const int CountBits = 40;

    private static long s_tables;

    // A bit for each of the host's pages that the six tables lie on: it was written.
    private readonly ulong[] _touched = new ulong[6 * TableBytes / HostPage / 64];
    private readonly List<uint> _filled = [];
    private readonly List<uint> _filledGlobal = [];
    private bool _overflowed;

    // Pages with write entries, while DropWrites has need of them; pages may be in it twice, or no longer have one.
    private List<uint>? _written;
    private int _writtenLimit;
    private long _generation = Interlocked.Increment(ref s_tables) << CountBits;

    /// <summary>Reserves the tables, all entries 0.</summary>
    /// <exception cref="OutOfMemoryException">The host refuses the reservation.</exception>
    public SoftwareTlb()
    {
        Root = (nint)HostMemory.Reserve(TotalBytes);
        Renew();
    }

    /// <summary>Host address of the tables.</summary>
    public nint Root { get; private set; }

    /// <summary>The host's memory in bytes that entries have taken so far, until <see cref="Release"/>.</summary>
    public long CommittedBytes { get; private set; }

    /// <summary>Where pages of the user half are mapped too, as long as their entries are there; null for nowhere.</summary>
    public AddressWindow? Window { get; set; }

    /// <summary>Entries filled since construction, for statistics.</summary>
    public long Fills { get; private set; }

    /// <summary>The entry for a page; <paramref name="page"/> is linear >> 12.</summary>
    public ref long Entry(uint page, MemoryAccess access, bool user) =>
        ref Unsafe.AsRef<long>((void*)(Root + (user ? HalfBytes : 0) + ((nint)access * TableBytes) + ((nint)page * 8)));

    /// <summary>The execute entry of a page in the half that a processor has in force.</summary>
    internal static long ExecuteEntry(CpuState* cpu, uint page) => Entry(cpu, page, MemoryAccess.Execute);

    /// <summary>An entry of a page in the half that a processor has in force.</summary>
    internal static long Entry(CpuState* cpu, uint page, MemoryAccess access) => *(long*)(cpu->Tlb + ((nint)access * TableBytes) + ((nint)page * 8));

    /// <summary>Fills one entry. <paramref name="hostPage"/> is the host address of the page's first byte.</summary>
    /// <param name="page">Linear page.</param>
    /// <param name="access">Which table.</param>
    /// <param name="user">Which half.</param>
    /// <param name="hostPage">Where the page lies.</param>
    /// <param name="isGlobal">Whether it outlives <see cref="ClearLocal"/> (a global page, SDM vol. 3, 4.10.2.4).</param>
    public void Set(uint page, MemoryAccess access, bool user, byte* hostPage, bool isGlobal = false)
    {
        Fills++;
        if (!_overflowed)
        {
            ref byte tracked = ref Tracked(page, isGlobal);
            byte bit = (byte)(1 << (int)(page & 7));
            if ((tracked & bit) == 0)
            {
                List<uint> filled = isGlobal ? _filledGlobal : _filled;
                if (filled.Count < TrackedPages)
                {
                    tracked |= bit;
                    filled.Add(page);
                }
                else
                {
                    _overflowed = true;
                }
            }
        }

        if (access == MemoryAccess.Write && _written is not null)
        {
            NoteWritten(page);
        }

        Touch((((int)access + (user ? 3 : 0)) * (TableBytes / HostPage)) + (int)(page >> 9));
        ref long entry = ref Entry(page, access, user);
        long value = (nint)hostPage - (long)((ulong)page << 12);
        bool changes = entry != 0 && entry != value;
        Volatile.Write(ref entry, value);
        if (changes && access == MemoryAccess.Execute)
        {
            Renew();
        }
        else if (changes && user)
        {
            Window?.Hide(page);
        }
    }

    /// <summary>Drops all six entries of a page.</summary>
    public void Drop(uint page)
    {
        if (DropAll(page))
        {
            Renew();
        }

        Window?.Hide(page);
    }

    /// <returns>Whether one was an execute entry.</returns>
    private bool DropAll(uint page)
    {
        for (int half = 0; half < 2; half++)
        {
            Drop(ref Entry(page, MemoryAccess.Read, half != 0));
            Drop(ref Entry(page, MemoryAccess.Write, half != 0));
        }

        return Drop(ref Entry(page, MemoryAccess.Execute, false)) | Drop(ref Entry(page, MemoryAccess.Execute, true));
    }

    private void Touch(int hostPage)
    {
        ref ulong word = ref _touched[hostPage >> 6];
        ulong bit = 1UL << (hostPage & 63);
        if ((word & bit) == 0)
        {
            word |= bit;
            CommittedBytes += HostPage;
        }
    }

    private void Renew()
    {
        _generation++;
        Volatile.Write(ref *(long*)(Root + GenerationOffset), _generation);
        Volatile.Write(ref *(long*)(Root + HalfBytes + GenerationOffset), _generation);
    }

    /// <summary>Drops the write entries of a page, so that the next write is seen.</summary>
    public void DropWrite(uint page)
    {
        DropWriteEntries(page);
        Window?.Hide(page);
    }

    private void DropWriteEntries(uint page)
    {
        Drop(ref Entry(page, MemoryAccess.Write, false));
        Drop(ref Entry(page, MemoryAccess.Write, true));
    }

    /// <summary>Drops the entries of <paramref name="count"/> pages from <paramref name="first"/> on.</summary>
    public void DropRange(uint first, uint count)
    {
        if (count > 4096)
        {
            Clear();
            return;
        }

        bool executable = false;
        for (uint i = 0; i < count; i++)
        {
            executable |= DropAll((first + i) & 0xFFFFF);
        }

        if (executable)
        {
            Renew();
        }

        Window?.Hide(first, count);
    }

    /// <summary>Drops every entry that leads to the 4-KiB host page at <paramref name="hostPage"/> for writing.</summary>
    public void DropWritesTo(byte* hostPage)
    {
        if (_overflowed)
        {
            Clear();
            return;
        }

        DropWritesTo(hostPage, _filled);
        DropWritesTo(hostPage, _filledGlobal);
    }

    /// <summary>
    /// Drops all write entries. The first time it costs what was filled, and later what was filled for writing since: that is noted until
    /// <see cref="ForgetWrites"/>.
    /// </summary>
    public void DropWrites()
    {
        if (_written is not null)
        {
            DropWrites(_written);
            _written.Clear();
            Window?.Clear();
            return;
        }

        if (_overflowed)
        {
            Clear();
        }
        else
        {
            DropWrites(_filled);
            DropWrites(_filledGlobal);
            Window?.Clear();
        }

        _written = [];
        _writtenLimit = WrittenPages;
    }

    /// <summary><see cref="DropWrites()"/> is no longer going to be called.</summary>
    public void ForgetWrites() => _written = null;

    private void DropWrites(List<uint> pages)
    {
        foreach (uint page in pages)
        {
            DropWriteEntries(page);
        }
    }

    private void NoteWritten(uint page)
    {
        if (Entry(page, MemoryAccess.Write, false) != 0 || Entry(page, MemoryAccess.Write, true) != 0)
        {
            return;
        }

        if (_written!.Count >= _writtenLimit)
        {
            // Entries that were dropped otherwise, and filled again.
            _written.RemoveAll(old => Entry(old, MemoryAccess.Write, false) == 0 && Entry(old, MemoryAccess.Write, true) == 0);
            _writtenLimit = Math.Max(WrittenPages, 2 * _written.Count);
        }

        _written.Add(page);
    }

    private void DropWritesTo(byte* hostPage, List<uint> pages)
    {
        foreach (uint page in pages)
        {
            long entry = (nint)hostPage - (long)((ulong)page << 12);
            if (Entry(page, MemoryAccess.Write, false) == entry || Entry(page, MemoryAccess.Write, true) == entry)
            {
                DropWrite(page);
            }
        }
    }

    /// <summary>Drops everything that wasn't filled as global; costs what was filled, not the size of the tables.</summary>
    public void ClearLocal()
    {
        if (_overflowed)
        {
            Clear();
            return;
        }

        bool executable = false;
        foreach (uint page in _filled)
        {
            executable |= DropAll(page);
            Tracked(page, false) = 0;
        }

        _filled.Clear();
        Window?.Clear();
        if (executable)
        {
            Renew();
        }
    }

    /// <summary>Drops everything.</summary>
    public void Clear()
    {
        if (_overflowed)
        {
            Discard();
        }
        else
        {
            ClearLocal();
            foreach (uint page in _filledGlobal)
            {
                Drop(page);
                Tracked(page, true) = 0;
            }
        }

        _filled.Clear();
        _filledGlobal.Clear();
        _overflowed = false;
    }

    /// <summary>Drops everything, and gives the memory of it back to the host. Others may use the tables meanwhile, as with <see cref="Clear"/>.</summary>
    public void Release()
    {
        Clear();
        Discard();
    }

    private void Discard()
    {
        // The generations stay as they are until they are renewed: zero is what nobody has seen, and a processor that uses the tables meanwhile must not find it.
        HostMemory.Discard((byte*)Root, GenerationOffset);
        HostMemory.Discard((byte*)Root + HalfBytes, GenerationOffset);
        HostMemory.Discard((byte*)Root + (2 * HalfBytes), 2 * TrackedBytes);
        Array.Clear(_touched);
        CommittedBytes = 0;
        Window?.Clear();
        Renew();
    }

    // Read first: the tables' memory is committed by a write, and most of it was never touched.
    private static bool Drop(ref long entry)
    {
        if (entry == 0)
        {
            return false;
        }

        Volatile.Write(ref entry, 0);
        return true;
    }

    private ref byte Tracked(uint page, bool isGlobal) =>
        ref Unsafe.AsRef<byte>((void*)(Root + (2 * HalfBytes) + (isGlobal ? TrackedBytes : 0) + (nint)(page >> 3)));

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Root != 0)
        {
            Window?.Dispose();
            Window = null;
            HostMemory.Release((byte*)Root, TotalBytes);
            Root = 0;
        }
    }
}
