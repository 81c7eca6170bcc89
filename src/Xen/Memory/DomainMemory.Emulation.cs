using Dbt.Translator.State;

namespace Dbt.Xen.Memory;

/// <content>Plain writes to page tables.</content>
public sealed unsafe partial class DomainMemory
{
    /// <summary>
    /// A write by the guest kernel faulted on a page that is mapped read-only because it is a page table: carries out the instruction
    /// at EIP as a checked page-table update (Xen's "ptwr").
    /// </summary>
    /// <param name="vcpu">The processor, with its page fault in <see cref="CpuState.Fault"/>.</param>
    /// <param name="linear">The faulting address.</param>
    /// <returns>
    /// True where it was emulated and EIP advanced; false where the guest is to get what is then in <see cref="CpuState.Fault"/>: the fault
    /// it had, or one that the instruction met elsewhere when it was tried.
    /// </returns>
    public bool TryEmulatePageTableWrite(Vcpu vcpu, uint linear)
    {
        if (vcpu.State->Cpl == 3)
        {
            return false;
        }

        lock (Lock)
        {
            _grace.Poll();

            // A page table, mapped present and read-only.
            if (!TryFindL1(vcpu, linear, out uint table, out int index)
                || (Entry(table, index) & (PageTableEntry.Present | PageTableEntry.Writable)) != PageTableEntry.Present)
            {
                return false;
            }

            ulong frame = PageTableEntry.Frame(Entry(table, index));
            if (frame >= _frames.Count || !_frames.TryGet((uint)frame, Domain.Id))
            {
                return false;
            }

            // Xen emulates L1 tables only; GNU Mach also writes an entry of its page directory plainly, so L2 tables are taken too, with the
            // checks of an explicit update. The reference keeps the frame while its entries are changing.
            bool emulated = _frames.TypeOf((uint)frame) is PageType.L1 or PageType.L2 && Tables.IsTable((uint)frame)
                && Emulator(vcpu) is { } emulator && emulator.TryEmulate(linear, (uint)frame);
            _frames.Put((uint)frame);
            return emulated;
        }
    }

    private PageTableWrite? Emulator(Vcpu vcpu) =>
        vcpu.PageTableWrite ??= _machine.TryAllocate(out uint copy) ? new PageTableWrite(vcpu, copy) : null;
}
