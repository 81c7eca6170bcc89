using static Dbt.Xen.Abi.Errno;

namespace Dbt.Xen.Memory;

/// <content>
/// Changing one entry of a validated table. The order is always: take what the new entry needs, write the entry, drop what the software
/// TLBs had of the old one, give up what the old one held.
/// </content>
internal sealed unsafe partial class PageTables
{
    /// <summary>Carries out one page-table update on a frame of whatever type it now has (MMU_NORMAL_PT_UPDATE and its variants).</summary>
    /// <param name="mfn">The table; the caller holds a reference.</param>
    /// <param name="index">0 to 511.</param>
    /// <param name="value">New entry.</param>
    /// <param name="preserveAccessed">Keeps A and D bits that are set now (MMU_PT_UPDATE_PRESERVE_AD).</param>
    /// <param name="pageOwner">Whose pages an L1 entry may map.</param>
    /// <returns>0 or a negative errno; then nothing changed.</returns>
    public int Update(uint mfn, int index, ulong value, bool preserveAccessed, ushort pageOwner)
    {
        switch (_frames.TypeOf(mfn))
        {
            case PageType.L1 when IsTable(mfn):
                return UpdateL1(mfn, index, value, preserveAccessed, pageOwner);
            case PageType.L2 when IsTable(mfn):
                return pageOwner == _domain.Id ? UpdateL2(mfn, index, value, preserveAccessed) : -EINVAL;
            case PageType.L3 when IsTable(mfn):
                return pageOwner == _domain.Id ? UpdateL3(mfn, index, value, preserveAccessed) : -EINVAL;
            default:
                // Not a table now: a plain write, for as long as which it is writable.
                if (!_frames.TryGetWritable(mfn))
                {
                    return -EINVAL;
                }

                Write(mfn, index, value);
                _frames.PutPlainType(mfn);
                return 0;
        }
    }

    /// <summary>Whether the frame is now a validated table of some level.</summary>
    public bool IsTable(uint mfn)
    {
        ulong type = Volatile.Read(ref _frames[mfn].TypeInfo);
        return PageInfo.CountOf(type) != 0 && (type & PageInfo.Validated) != 0 && PageInfo.TypeOf(type) is PageType.L1 or PageType.L2 or PageType.L3;
    }

    /// <summary>Writes an L1 entry whose references the caller has taken or gives up itself (grant mappings).</summary>
    public ulong ExchangeL1(uint mfn, int index, ulong value)
    {
        ulong old = Entries(mfn)[index];
        Commit(mfn, index, old, value, preserveAccessed: false);
        return old;
    }

    /// <summary>Changes several entries of an L1 table, all or none; for an emulated instruction's bytes.</summary>
    public int UpdateL1Together(uint mfn, ReadOnlySpan<int> indexes, ReadOnlySpan<ulong> values)
    {
        for (int i = 0; i < values.Length; i++)
        {
            int error = PageTableEntry.IsPresent(values[i]) ? GetMappedPage(values[i], _domain.Id) : 0;
            if (error != 0)
            {
                while (--i >= 0)
                {
                    PutMappedPage(values[i]);
                }

                return error;
            }
        }

        for (int i = 0; i < values.Length; i++)
        {
            PutMappedPage(ExchangeL1(mfn, indexes[i], values[i]));
        }

        return 0;
    }

    private int UpdateL1(uint mfn, int index, ulong value, bool preserveAccessed, ushort pageOwner)
    {
        ulong old = Entries(mfn)[index];
        if (PageTableEntry.IsPresent(value))
        {
            if ((value & PageTableEntry.L1Refused) != 0)
            {
                return -EINVAL;
            }

            if (OnlyFreelyChanged(old, value))
            {
                Commit(mfn, index, old, value, preserveAccessed);
                return 0;
            }

            int error = GetMappedPage(value, pageOwner);
            if (error != 0)
            {
                return error;
            }
        }

        Commit(mfn, index, old, value, preserveAccessed);
        PutMappedPage(old);
        return 0;
    }

    private int UpdateL2(uint mfn, int index, ulong value, bool preserveAccessed)
    {
        if (index >= PageTableEntry.FirstHypervisorL2Slot && (_frames[mfn].TypeInfo & PageInfo.HypervisorL2) != 0)
        {
            return -EPERM;
        }

        ulong old = Entries(mfn)[index];
        if (PageTableEntry.IsPresent(value))
        {
            if ((value & PageTableEntry.L2Refused) != 0)
            {
                return -EINVAL;
            }

            if (OnlyFreelyChanged(old, value))
            {
                Commit(mfn, index, old, value, preserveAccessed);
                return 0;
            }

            int error = GetL1Table(value, mfn);
            if (error != 0)
            {
                return error;
            }
        }

        Commit(mfn, index, old, value, preserveAccessed);
        PutL1Table(old, mfn);
        return 0;
    }

    private int UpdateL3(uint mfn, int index, ulong value, bool preserveAccessed)
    {
        // Slot 3 leads to the hypervisor's L2 and stays as it was validated.
        if (index >= 3)
        {
            return -EINVAL;
        }

        ulong old = Entries(mfn)[index];
        if (PageTableEntry.IsPresent(value))
        {
            int error = GetL2Table(value, hypervisorL2: false);
            if (error != 0)
            {
                return error;
            }
        }

        Commit(mfn, index, old, value, preserveAccessed);
        PutL2Table(old);
        return 0;
    }

    private static bool OnlyFreelyChanged(ulong old, ulong value) =>
        PageTableEntry.IsPresent(old) && ((old ^ value) & ~PageTableEntry.FreelyChanged) == 0;

    private void Commit(uint mfn, int index, ulong old, ulong value, bool preserveAccessed)
    {
        if (preserveAccessed)
        {
            value |= old & (PageTableEntry.Accessed | PageTableEntry.Dirty);
        }

        Write(mfn, index, value);
        if (PageTableEntry.IsPresent(old) && old != value)
        {
            _spaces.EntryChanged(mfn, index);
        }
    }

    private void Write(uint mfn, int index, ulong value)
    {
        ulong* entry = Entries(mfn) + index;
        Volatile.Write(ref *entry, value);
        if (_machine.CodeMap.Watches((byte*)entry))
        {
            _machine.CodeMap.Written((byte*)entry, 8);
        }
    }
}
