using Dbt.Translator.State;
using Dbt.Xen.Abi;

namespace Dbt.Xen.Processor;

/// <summary>
/// A processor's way to its first instruction after VCPUOP_initialise. As in Xen its segments are looked at now and not before: a context may
/// name what can't be loaded, and the guest's kernel is told when the processor is brought up.
/// </summary>
/// <param name="To">Where it starts.</param>
/// <param name="Data">Its data selectors.</param>
internal sealed partial record FirstEntry(ReturnPoint To, DataSelectors Data)
{
    /// <summary>
    /// Loads the segments and goes. A data segment that can't be loaded is null, and the failsafe callback is entered in place of the start.
    /// </summary>
    public void Enter(Vcpu vcpu)
    {
        bool loaded = GuestEntry.TryLoadData(vcpu, SegmentIndex.Ds, Data.Ds)
            & GuestEntry.TryLoadData(vcpu, SegmentIndex.Es, Data.Es)
            & GuestEntry.TryLoadData(vcpu, SegmentIndex.Fs, Data.Fs)
            & GuestEntry.TryLoadData(vcpu, SegmentIndex.Gs, Data.Gs);
        if (loaded)
        {
            Go(vcpu, To, "start of a processor");
            return;
        }

        GuestCallbacks callbacks = vcpu.Callbacks;
        var bounce = new Bounce(Layout.FlatRing1Cs, callbacks.Failsafe.Address, callbacks.FailsafeMasksEvents, null, "failsafe callback")
        {
            Selectors = Data,
        };
        BounceFrame.Enter(vcpu, bounce, To);
    }

    /// <summary>Goes to a point of guest code, or to the guest's handler where that can't be.</summary>
    public static void Go(Vcpu vcpu, in ReturnPoint to, string what)
    {
        if (!GuestEntry.TryGo(vcpu, to, out Fault fault))
        {
            // The fault is of the instruction that was to be gone to, as on a bare processor whose IRET had begun.
            TrapEntry entry = vcpu.Traps[(int)fault.Vector];
            BounceFrame.Enter(vcpu, new Bounce(entry.Selector, entry.Address, entry.MasksEvents, fault.ErrorCode, $"{what}, to {to.Cs:x4}:{to.Eip:x8}"), to);
        }
    }
}
