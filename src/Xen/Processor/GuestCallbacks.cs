namespace Dbt.Xen.Processor;

/// <summary>Entry points of a processor besides the trap table (set_callbacks, callback_op).</summary>
internal sealed partial class GuestCallbacks
{
    /// <summary>Code selector and offset of the event upcall.</summary>
    public (ushort Selector, uint Address) Event { get; set; }

    /// <summary>Code selector and offset of the failsafe callback.</summary>
    public (ushort Selector, uint Address) Failsafe { get; set; }

    /// <summary>Whether the failsafe callback masks events (VGCF_failsafe_disables_events).</summary>
    public bool FailsafeMasksEvents { get; set; }

    /// <summary>Where SYSENTER leads (CALLBACKTYPE_sysenter), and whether that masks events.</summary>
    public (ushort Selector, uint Address, bool MasksEvents) SystemEnter { get; set; }

    /// <summary>Where SYSCALL leads (CALLBACKTYPE_syscall32), and whether that masks events.</summary>
    public (ushort Selector, uint Address, bool MasksEvents) SystemCall { get; set; }

    /// <summary>Between an NMI and the iret hypercall that ends it.</summary>
    public bool InNmi { get; set; }
}
