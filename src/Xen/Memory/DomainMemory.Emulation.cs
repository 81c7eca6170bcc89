using Dbt.Translator.State;

namespace Dbt.Xen.Memory;

/// <content>Plain writes to page tables.</content>
public sealed unsafe partial class DomainMemory
{
    private const uint SingleStepBit = 1 << 14;

    /// <summary>
    /// A write by the guest kernel faulted on a page that is mapped read-only because it is a page table: carries out the instruction
    /// at EIP as a checked page-table update (Xen's "ptwr").
    /// </summary>
    /// <param name="vcpu">The processor, with its page fault in <see cref="CpuState.Fault"/>.</param>
    /// <param name="linear">The faulting address.</param>
    /// <returns>
    /// True where it was emulated and EIP advanced (and the single-step trap delivered, where TF was set); false where the guest is to get
    /// what is then in <see cref="CpuState.Fault"/>.
    /// </returns>
    public bool TryEmulatePageTableWrite(Vcpu vcpu, uint linear)
    {
        CpuState* cpu = vcpu.State;
        if (cpu->Cpl == 3)
        {
            return false;
        }

        bool trap = (cpu->Eflags & Flags.Tf) != 0;
        lock (Lock)
        {
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

            // The reference keeps the frame while its own entries may be changing.
            bool emulated = Tables.IsTable((uint)frame) && Emulator(vcpu) is { } emulator && emulator.TryEmulate(linear, (uint)frame);
            _frames.Put((uint)frame);
            if (!emulated)
            {
                return false;
            }
        }

        if (trap)
        {
            cpu->Dr[6] |= SingleStepBit;
            cpu->Fault = new Fault { Vector = Vector.Debug };
            vcpu.DeliverFault(cpu);
        }

        return true;
    }

    private PageTableWrite? Emulator(Vcpu vcpu) =>
        vcpu.PageTableWrite ??= _machine.TryAllocate(out uint copy) ? new PageTableWrite(vcpu, copy) : null;
}
