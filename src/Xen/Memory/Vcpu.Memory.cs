using Dbt.Xen.Hypercalls;
using Dbt.Xen.Memory;

namespace Dbt.Xen;

/// <content>What memory management keeps for each processor.</content>
public sealed unsafe partial class Vcpu
{
    /// <summary>L3 frame that CR3 names; 0 before the first base pointer. Holds a reference and a type count.</summary>
    public uint BaseMfn { get; internal set; }

    /// <summary>Software TLB and walk root in force.</summary>
    internal AddressSpace? AddressSpace { get; set; }

    /// <summary>Emulates this processor's plain writes to page tables; made when the first is met.</summary>
    internal PageTableWrite? PageTableWrite { get; set; }

    /// <summary>
    /// Set by a handler that stopped early so that events are seen and other work gets a chance: the hypercall is to be issued again with
    /// these arguments, and the handler's result is not the guest's. The dispatcher takes it, writes the arguments to the registers and
    /// leaves EIP at the hypercall instruction (or, in a multicall, writes them to the entry), so that the processor comes back here.
    /// </summary>
    internal HypercallArguments? Continuation { get; set; }

    /// <summary>MMUEXT_SET_LDT: <paramref name="linear"/> is page-aligned and below the hypervisor, <paramref name="entries"/> at most 8192.</summary>
    partial void SetLdt(uint linear, uint entries);

    /// <summary>The base pointer changed: what was derived from the old address space (LDT pages held by type) is to be given up.</summary>
    partial void AddressSpaceChanged();

    internal void LoadLdt(uint linear, uint entries) => SetLdt(linear, entries);

    internal void NotifyAddressSpaceChanged() => AddressSpaceChanged();
}
