namespace Dbt.Xen.Processor;

/// <summary>Entry points of a processor besides the trap table (set_callbacks, callback_op).</summary>
internal sealed class GuestCallbacks
{
    /// <summary>Code selector and offset of the event upcall.</summary>
    public (ushort Selector, uint Address) Event { get; set; }

    /// <summary>Code selector and offset of the failsafe callback.</summary>
    public (ushort Selector, uint Address) Failsafe { get; set; }

    /// <summary>Whether the failsafe callback masks events (VGCF_failsafe_disables_events).</summary>
    public bool FailsafeMasksEvents { get; set; }

    /// <summary>Between an NMI and the iret hypercall that ends it.</summary>
    public bool InNmi { get; set; }
}
