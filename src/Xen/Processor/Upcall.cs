using Dbt.Translator.State;
using Dbt.Xen.Time;

namespace Dbt.Xen.Processor;

/// <summary>Asynchronous entries to the guest's kernel: the event callback and NMI.</summary>
internal static unsafe class Upcall
{
    /// <summary>Enters the event callback, masking further upcalls.</summary>
    public static void Deliver(Vcpu vcpu)
    {
        if (vcpu.Domain.Clock.Now - vcpu.TimeUpdatedAt > SharedTime.RenewAfter)
        {
            SharedTime.Update(vcpu);
        }

        vcpu.Upcalls++;
        (ushort selector, uint address) = vcpu.Callbacks.Event;
        BounceFrame.Enter(vcpu, new Bounce(selector, address, true, null, "event upcall"), ReturnPoint.Of(vcpu.State));
    }

    /// <summary>Enters the NMI handler.</summary>
    public static void DeliverNmi(Vcpu vcpu)
    {
        TrapEntry entry = vcpu.Traps[(int)Vector.Nmi];
        BounceFrame.Enter(vcpu, new Bounce(entry.Selector, entry.Address, entry.MasksEvents, null, "NMI"), ReturnPoint.Of(vcpu.State));
    }
}
