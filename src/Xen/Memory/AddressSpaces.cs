using Dbt.Runtime.Memory;
using Dbt.Translator.Memory;

namespace Dbt.Xen.Memory;

/// <summary>
/// A domain's software TLBs, one per L3 table in recent use, and the reverse map that keeps them coherent: each table lists the address
/// spaces and linear ranges it was walked for, in the role it played there (a linear page table is walked as L1 and as L2), so that a
/// changed entry drops exactly what it covered (XSA-286: also what linear mappings made of it). All under the domain's page-table lock.
/// </summary>
internal sealed unsafe class AddressSpaces(FrameTable frames, MachineMemory machine) : IDisposable
{
    /// <summary>Spaces kept at most; each reserves 48 MiB of the host's address space.</summary>
    public const int Capacity = 64;

    /// <summary>
    /// Bytes of the host's memory that the spaces may take together before those that weren't used for longest are emptied: a guest's processes need some hundred KiB
    /// each, and only one that means to fills whole tables.
    /// </summary>
    public const long MostBytes = 128L << 20;

    // A space that nobody uses any more keeps so much.
    private const long SpareBytes = 1 << 20;

    // A frame's write hint: 0 none; 1 + (space << 20 | page) where exactly one write entry was filled; AnySpace | page where all that were
    // filled are of one linear page (a kernel's direct map is in every space); ManyWriters otherwise.
    private const uint AnySpace = 1u << 31;
    private const uint ManyWriters = uint.MaxValue;
    private const int SpareLimit = 4;

    private readonly AddressSpace?[] _spaces = new AddressSpace?[Capacity];
    private readonly Dictionary<uint, AddressSpace> _byRoot = [];
    private readonly Stack<SoftwareTlb> _spare = new();
    private Use[] _uses = new Use[256];
    private int _freeUse;
    private int _usedUses = 1;
    private long _clock;
    private long _bytes;

    /// <summary>Bytes of the host's memory that the spaces take.</summary>
    public long Bytes => _bytes;

    /// <summary>The space of an L3 table that has its type; made where it isn't there.</summary>
    public AddressSpace Find(uint root)
    {
        if (!_byRoot.TryGetValue(root, out AddressSpace? space))
        {
            int index = FreeSlot();
            space = new AddressSpace(index, root, _spare.TryPop(out SoftwareTlb? tlb) ? tlb : new SoftwareTlb());
            _spaces[index] = space;
            _byRoot.Add(root, space);
        }

        space.Stamp = ++_clock;
        return space;
    }

    /// <summary>The L3 table loses its type, or is about to be changed throughout.</summary>
    public void Discard(uint root)
    {
        if (_byRoot.TryGetValue(root, out AddressSpace? space))
        {
            Remove(space);
        }
    }

    /// <summary>Remembers through which tables a page of a space is about to be resolved.</summary>
    public void Note(AddressSpace space, uint page, uint l2, uint l1)
    {
        Account(space);
        if (_bytes > MostBytes)
        {
            Shrink(space);
        }

        uint range = page >> 9, gigabyte = page >> 18;
        if (space.L2Of[gigabyte] != l2)
        {
            if (space.L2Of[gigabyte] != 0)
            {
                DropAll(space);
            }

            space.L2Of[gigabyte] = l2;
            AddUse(l2, space, Role.L2, gigabyte);
        }

        if (space.L1Of[range] != l1)
        {
            if (space.L1Of[range] != 0)
            {
                DropRange(space, range);
            }

            space.L1Of[range] = l1;
            AddUse(l1, space, Role.L1, range);
        }
    }

    /// <summary>Remembers that a write entry for the domain's own frame was filled.</summary>
    public void NoteWrite(AddressSpace space, uint page, uint frame)
    {
        ref uint hint = ref frames[frame].WriteHint;
        uint mine = 1 + (((uint)space.Index << 20) | page);
        if (hint == 0 || hint == mine)
        {
            hint = mine;
        }
        else if (hint != ManyWriters)
        {
            bool samePage = ((hint >= AnySpace ? hint : hint - 1) & 0xFFFFF) == page;
            hint = samePage ? AnySpace | page : ManyWriters;
        }
    }

    /// <summary>An entry of a table changed that was present: drops what it covered, everywhere.</summary>
    public void EntryChanged(uint table, int index)
    {
        int at = frames[table].FirstUse;
        while (at != 0)
        {
            Use use = _uses[at];
            at = use.Next;
            AddressSpace space = _spaces[use.Space]!;
            switch (use.Role)
            {
                case Role.L1:
                    space.Tlb.Drop(((uint)use.Range << 9) | (uint)index);
                    break;
                default:
                    uint range = ((uint)use.Range << 9) | (uint)index;
                    bool linear = space.L1Of[range] == table;
                    DropRange(space, range);
                    if (linear)
                    {
                        // The node just removed was of the list being walked; what was done already is done again for nothing.
                        at = frames[table].FirstUse;
                    }

                    break;
            }
        }

        if (_byRoot.TryGetValue(table, out AddressSpace? root))
        {
            DropAll(root);
        }
    }

    /// <summary>A table loses its type: nothing may have been resolved through it, and if it was, is dropped.</summary>
    public void TableGone(uint table)
    {
        while (frames[table].FirstUse is int at and not 0)
        {
            Use use = _uses[at];
            AddressSpace space = _spaces[use.Space]!;
            if (use.Role == Role.L1)
            {
                DropRange(space, use.Range);
            }
            else
            {
                DropAll(space);
            }
        }
    }

    /// <summary>Drops the write entries to the domain's own frame.</summary>
    public void DropWritesTo(uint frame)
    {
        ref uint hint = ref frames[frame].WriteHint;
        if (hint == ManyWriters)
        {
            DropWritesEverywhere(frame);
        }
        else if (hint >= AnySpace)
        {
            foreach (AddressSpace any in _byRoot.Values)
            {
                any.Tlb.DropWrite(hint & 0xFFFFF);
            }
        }
        else if (hint != 0 && _spaces[(hint - 1) >> 20] is { } space)
        {
            space.Tlb.DropWrite((hint - 1) & 0xFFFFF);
        }

        hint = 0;
    }

    /// <summary>Drops the write entries to any frame, without a hint.</summary>
    public void DropWritesEverywhere(uint frame)
    {
        foreach (AddressSpace space in _byRoot.Values)
        {
            space.Tlb.DropWritesTo(machine.Frame(frame));
        }
    }

    /// <summary>Drops all write entries; see <see cref="SoftwareTlb.DropWrites()"/>.</summary>
    public void DropWrites()
    {
        foreach (AddressSpace space in _byRoot.Values)
        {
            space.Tlb.DropWrites();
        }
    }

    /// <summary>See <see cref="SoftwareTlb.ForgetWrites"/>.</summary>
    public void ForgetWrites()
    {
        foreach (AddressSpace space in _byRoot.Values)
        {
            space.Tlb.ForgetWrites();
        }

        foreach (SoftwareTlb tlb in _spare)
        {
            tlb.ForgetWrites();
        }
    }

    public void Dispose()
    {
        foreach (AddressSpace space in _byRoot.Values)
        {
            space.Tlb.Dispose();
        }

        foreach (SoftwareTlb tlb in _spare)
        {
            tlb.Dispose();
        }

        _byRoot.Clear();
        _spare.Clear();
        Array.Clear(_spaces);
    }

    private int FreeSlot()
    {
        int victim = -1;
        for (int i = 0; i < Capacity; i++)
        {
            if (_spaces[i] is not { } space)
            {
                return i;
            }

            if (space.Processors == 0 && (victim < 0 || space.Stamp < _spaces[victim]!.Stamp))
            {
                victim = i;
            }
        }

        // A domain has at most 32 processors, so that one of 64 is idle.
        Remove(_spaces[victim]!);
        return victim;
    }

    private void Account(AddressSpace space)
    {
        _bytes += space.Tlb.CommittedBytes - space.AccountedBytes;
        space.AccountedBytes = space.Tlb.CommittedBytes;
    }

    // Half of what is allowed is freed, so that this isn't done all the time: the idle spaces first, then others' (whose processors fill them
    // again), then the one that is to be filled.
    private void Shrink(AddressSpace current)
    {
        foreach (AddressSpace space in _byRoot.Values.OrderBy(space => space == current ? 2 : space.Processors != 0 ? 1 : 0).ThenBy(space => space.Stamp).ToList())
        {
            if (_bytes <= MostBytes / 2)
            {
                return;
            }

            DropAll(space);
            space.Tlb.Release();
            Account(space);
        }
    }

    private void Remove(AddressSpace space)
    {
        DropAll(space);
        _bytes -= space.AccountedBytes;
        if (space.Tlb.CommittedBytes > SpareBytes)
        {
            space.Tlb.Release();
        }

        _byRoot.Remove(space.Root);
        _spaces[space.Index] = null;
        if (_spare.Count < SpareLimit)
        {
            _spare.Push(space.Tlb);
        }
        else
        {
            space.Tlb.Dispose();
        }
    }

    private void DropAll(AddressSpace space)
    {
        space.Tlb.Clear();
        for (uint range = 0; range < AddressSpace.Ranges; range++)
        {
            if (space.L1Of[range] != 0)
            {
                RemoveUse(space.L1Of[range], space, Role.L1, range);
                space.L1Of[range] = 0;
            }
        }

        for (uint gigabyte = 0; gigabyte < 4; gigabyte++)
        {
            if (space.L2Of[gigabyte] != 0)
            {
                RemoveUse(space.L2Of[gigabyte], space, Role.L2, gigabyte);
                space.L2Of[gigabyte] = 0;
            }
        }
    }

    private void DropRange(AddressSpace space, uint range)
    {
        if (space.L1Of[range] == 0)
        {
            return;
        }

        space.Tlb.DropRange(range << 9, 512);
        RemoveUse(space.L1Of[range], space, Role.L1, range);
        space.L1Of[range] = 0;
    }

    private void AddUse(uint table, AddressSpace space, Role role, uint range)
    {
        int at = _freeUse;
        if (at != 0)
        {
            _freeUse = _uses[at].Next;
        }
        else
        {
            if (_usedUses == _uses.Length)
            {
                Array.Resize(ref _uses, _uses.Length * 2);
            }

            at = _usedUses++;
        }

        ref int first = ref frames[table].FirstUse;
        _uses[at] = new Use { Next = first, Space = (byte)space.Index, Role = role, Range = (ushort)range };
        first = at;
    }

    private void RemoveUse(uint table, AddressSpace space, Role role, uint range)
    {
        ref int link = ref frames[table].FirstUse;
        while (link != 0)
        {
            int at = link;
            ref Use use = ref _uses[at];
            if (use.Space == space.Index && use.Role == role && use.Range == range)
            {
                link = use.Next;
                use.Next = _freeUse;
                _freeUse = at;
                return;
            }

            link = ref use.Next;
        }
    }

    private enum Role : byte
    {
        L1,
        L2,
    }

    private struct Use
    {
        public int Next;
        public byte Space;
        public Role Role;
        public ushort Range;
    }
}
