using Dbt.Xen.Abi;

namespace Dbt.Xen.Memory;

/// <content>A processor's page tables by range, and the entry of one address.</content>
public sealed unsafe partial class DomainMemory
{
    /// <summary>
    /// Visits the entries of a linear range in a processor's page tables as they are now: see <see cref="PageRange"/>. A paravirtual guest's tables
    /// are walked as far as they are validated, and up to where the hypervisor begins; a translated guest's by its own paging mode.
    /// </summary>
    /// <param name="vcpu">Whose; one of a translated domain must not run.</param>
    /// <param name="start">First linear address.</param>
    /// <param name="bytes">Length.</param>
    /// <param name="level">See <see cref="PageRange.Apply"/>.</param>
    /// <param name="visitor">Called under the page-table lock.</param>
    internal PageRangeEnd ApplyToPageRange<TVisitor>(Vcpu vcpu, uint start, ulong bytes, int level, ref TVisitor visitor)
        where TVisitor : struct, IPageTableVisitor
    {
        lock (Lock)
        {
            if (vcpu.Hvm is { } hvm)
            {
                var guest = new Hvm.HvmPageTables(hvm, vcpu.State);
                return guest.IsPaging ? PageRange.Apply(ref guest, start, bytes, level, ref visitor) : PageRangeEnd.Done;
            }

            var tables = new ValidatedTables(this, vcpu.BaseMfn);
            return vcpu.BaseMfn == 0 ? PageRangeEnd.Done : PageRange.Apply(ref tables, start, bytes, level, ref visitor);
        }
    }

    /// <summary>The L1 table and entry that map a linear address now; 0 where there is none. Under the lock.</summary>
    internal bool TryFindL1(Vcpu vcpu, uint linear, out uint table, out int index)
    {
        table = 0;
        index = (int)(linear >> 12) & 511;
        if (linear >= Layout.HypervisorStart || vcpu.BaseMfn == 0)
        {
            return false;
        }

        ulong entry3 = Entry(vcpu.BaseMfn, (int)(linear >> 30));
        if (!PageTableEntry.IsPresent(entry3))
        {
            return false;
        }

        ulong entry2 = Entry((uint)PageTableEntry.Frame(entry3), (int)(linear >> 21) & 511);
        if (!PageTableEntry.IsPresent(entry2))
        {
            return false;
        }

        table = (uint)PageTableEntry.Frame(entry2);
        return true;
    }

    /// <summary>Tables that were validated; nothing is made.</summary>
    private readonly struct ValidatedTables(DomainMemory memory, uint root) : IPageTables
    {
        public PagingMode Mode => PagingMode.Pae;

        public bool HasLargePages => false;

        public ulong Root => (ulong)root << 12;

        public uint Last => Layout.HypervisorStart - 1;

        public bool MakesTables => false;

        public byte* Entry(ulong physical)
        {
            ulong mfn = physical >> 12;
            return mfn < memory._frames.Count && memory.Owns((uint)mfn) && memory.Tables.IsTable((uint)mfn) ? memory._machine.Frame((uint)mfn) + (physical & 0xFFF) : null;
        }

        public bool TryMakeTable(in PageTableSlot slot) => false;
    }
}
