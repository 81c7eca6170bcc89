using Dbt.Xen.Hypercalls;
using Dbt.Xen.Memory;

namespace Dbt.Xen;

/// <content>What memory management keeps for each processor.</content>
public sealed unsafe partial class Vcpu
{
    [ThreadStatic]
    private static Vcpu? t_current;

    private long _safePoints;
    private volatile bool _outside = true;

    /// <summary>The processor whose thread this is; null on any other.</summary>
    internal static Vcpu? Current => t_current;

    /// <summary>How often it has passed a point where it holds no host address that it looked up. Any thread may read it.</summary>
    internal long SafePoints => Volatile.Read(ref _safePoints);

    /// <summary>Whether it is not in guest code, and will look everything up anew when it is. Any thread may read it.</summary>
    internal bool IsOutside => _outside;

    /// <summary>Whether a hypercall is under way: between two instructions, holding no address.</summary>
    internal bool InHypercall { get; set; }

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

    /// <summary>The processor's thread begins: still outside.</summary>
    internal void Bind() => t_current = this;

    /// <summary>Passes a safe point. On its own thread.</summary>
    internal void PassSafePoint()
    {
        Volatile.Write(ref _safePoints, _safePoints + 1);
        Interlocked.MemoryBarrier();
    }

    /// <summary>Leaves guest code: to wait, to be held, for good. On its own thread.</summary>
    internal void Leave() => _outside = true;

    /// <summary>Goes back to guest code. On its own thread.</summary>
    internal void Return()
    {
        _outside = false;
        Interlocked.MemoryBarrier();
        Hvm?.ApplyFlush();
    }

    internal void LoadLdt(uint linear, uint entries) => SetLdt(linear, entries);

    internal void NotifyAddressSpaceChanged() => AddressSpaceChanged();
}
