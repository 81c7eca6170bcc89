using Dbt.Xen.Abi;

namespace Dbt.Xen.Memory;

/// <content>Grant mappings in page tables: L1 entries whose references the grant table takes and gives back.</content>
public sealed unsafe partial class DomainMemory
{
    /// <summary>Writes an L1 entry for a granted page; what the entry held before is given back.</summary>
    /// <param name="vcpu">The caller.</param>
    /// <param name="address">A linear address, or the machine address of the entry.</param>
    /// <param name="entry">The entry; its references are the grant table's to give back.</param>
    /// <param name="isEntry">The address is the entry's own.</param>
    /// <returns>False where there is no such entry.</returns>
    internal bool TryMapGrant(Vcpu vcpu, ulong address, ulong entry, bool isEntry)
    {
        lock (Lock)
        {
            if (!TryFindEntry(vcpu, address, isEntry, out uint table, out int index))
            {
                return false;
            }

            Tables.PutMappedPage(Tables.ExchangeL1(table, index, entry));
            return true;
        }
    }

    /// <summary>Removes the L1 entry of a granted page, or puts the entry of another linear address in its place.</summary>
    /// <param name="vcpu">The caller.</param>
    /// <param name="address">See <see cref="TryMapGrant"/>.</param>
    /// <param name="newAddress">Linear address whose entry moves here, or 0.</param>
    /// <param name="entry">What the entry must be, in frame, presence and writability (XSA-234).</param>
    /// <param name="isEntry">See <see cref="TryMapGrant"/>.</param>
    /// <param name="claim">Takes the mapping from its handle, once the entry was found; false where another did before.</param>
    /// <param name="stale">The claim failed.</param>
    internal bool TryUnmapGrant(
        Vcpu vcpu, ulong address, ulong newAddress, ulong entry, bool isEntry, Func<bool> claim, out bool stale)
    {
        const ulong Compared = PageTableEntry.FrameMask | PageTableEntry.Present | PageTableEntry.Writable;
        stale = false;
        lock (Lock)
        {
            if (!TryFindEntry(vcpu, address, isEntry, out uint table, out int index)
                || ((Entry(table, index) ^ entry) & Compared) != 0)
            {
                return false;
            }

            uint from = 0;
            int fromIndex = 0;
            if (newAddress != 0 && (isEntry || !TryFindEntry(vcpu, newAddress, isEntry: false, out from, out fromIndex)))
            {
                return false;
            }

            stale = !claim();
            if (stale)
            {
                return false;
            }

            // An entry that moves takes its references with it. One that moves onto itself is simply gone, as in Xen.
            bool moves = from != 0 && (from != table || fromIndex != index);
            ulong moved = moves ? Tables.ExchangeL1(from, fromIndex, 0) : 0;
            _ = Tables.ExchangeL1(table, index, moved);
            return true;
        }
    }

    private bool TryFindEntry(Vcpu vcpu, ulong address, bool isEntry, out uint table, out int index)
    {
        table = 0;
        index = 0;
        if (isEntry)
        {
            // XSA-227: an entry lies at a multiple of its size.
            if ((address & 7) != 0 || address >> 12 >= _frames.Count)
            {
                return false;
            }

            table = (uint)(address >> 12);
            index = (int)(address >> 3) & 511;
        }
        else if (address >= Layout.HypervisorStart || !TryFindL1(vcpu, (uint)address, out table, out index))
        {
            return false;
        }

        return Owns(table) && _frames.TypeOf(table) == PageType.L1 && Tables.IsTable(table);
    }
}
