using Dbt.Xen.Abi;
using static Dbt.Xen.Abi.Errno;

namespace Dbt.Xen.Memory;

/// <content>What a present entry of each level refers to: checked and counted when the entry is made, given back when it goes.</content>
internal sealed unsafe partial class PageTables
{
    /// <summary>Takes what a present L1 entry needs: a reference to the page, and a writable count where it maps writable.</summary>
    /// <param name="entry">The entry; present.</param>
    /// <param name="pageOwner">Whose page it must be: this domain, or DOMID_IO.</param>
    public int GetMappedPage(ulong entry, ushort pageOwner)
    {
        if ((entry & PageTableEntry.L1Refused) != 0)
        {
            return -EINVAL;
        }

        ulong frame = PageTableEntry.Frame(entry);
        if (frame >= _frames.Count)
        {
            // No memory there: an I/O page, which no domain here may map; all ones is how guests write "none".
            return frame == PageTableEntry.FrameMask >> 12 ? -EINVAL : -EPERM;
        }

        uint mfn = (uint)frame;
        if (pageOwner == Layout.DomidIo || !_frames.TryGet(mfn, pageOwner))
        {
            return -EBUSY;
        }

        if ((entry & PageTableEntry.Writable) != 0 && !_frames.TryGetWritable(mfn))
        {
            _frames.Put(mfn);
            return -EBUSY;
        }

        return 0;
    }

    /// <summary>
    /// Gives back what an L1 entry held, be it the domain's own page or a granted one, as soon as no processor can have it in hand;
    /// nothing for one that isn't present.
    /// </summary>
    public void PutMappedPage(ulong entry)
    {
        if (!PageTableEntry.IsPresent(entry))
        {
            return;
        }

        _grace.Put((uint)PageTableEntry.Frame(entry), (entry & PageTableEntry.Writable) != 0);
    }

    private int GetL1Table(ulong entry, uint table)
    {
        if ((entry & PageTableEntry.L2Refused) != 0)
        {
            return -EINVAL;
        }

        ulong frame = PageTableEntry.Frame(entry);
        int error = GetPageAndType(frame, PageType.L1);
        return error == -EINVAL && TryGetLinear(entry, table) ? 0 : error;
    }

    private void PutL1Table(ulong entry, uint table)
    {
        uint mfn = (uint)PageTableEntry.Frame(entry);
        if (PageTableEntry.IsPresent(entry) && mfn != table)
        {
            // The type goes at once, for nobody can have the table in hand to write; through a linear mapping, to read it, they can.
            PutType(mfn, table);
            _grace.Put(mfn, writable: false);
        }
    }

    private int GetL2Table(ulong entry, bool hypervisorL2) =>
        (entry & PageTableEntry.L3Refused) != 0 ? -EINVAL : GetPageAndType(PageTableEntry.Frame(entry), PageType.L2, hypervisorL2);

    private void PutL2Table(ulong entry)
    {
        if (PageTableEntry.IsPresent(entry))
        {
            PutPageAndType((uint)PageTableEntry.Frame(entry));
        }
    }

    /// <summary>
    /// An L2 entry may lead, read-only, to an L2: to its own table freely, or to another that is validated. One level only, in one
    /// direction (XSA-240): a table that leads to others is not led to, so that no walk meets more than the two.
    /// </summary>
    private bool TryGetLinear(ulong entry, uint table)
    {
        ulong frame = PageTableEntry.Frame(entry);
        if ((entry & PageTableEntry.Writable) != 0)
        {
            return false;
        }

        if (frame == table)
        {
            return true;
        }

        if (frame >= _frames.Count || !_frames.TryGet((uint)frame, _domain.Id))
        {
            return false;
        }

        ref PageInfo target = ref _frames[(uint)frame];
        ref PageInfo source = ref _frames[table];
        ulong type = Volatile.Read(ref target.TypeInfo);
        bool usable = PageInfo.TypeOf(type) == PageType.L2 && (type & PageInfo.Validated) != 0 && PageInfo.CountOf(type) != uint.MaxValue
            && source.LinearCount is >= 0 and < short.MaxValue && target.LinearCount is <= 0 and > short.MinValue;
        if (!usable)
        {
            _frames.Put((uint)frame);
            return false;
        }

        source.LinearCount++;
        target.LinearCount--;
        Volatile.Write(ref target.TypeInfo, type + 1);
        return true;
    }
}
