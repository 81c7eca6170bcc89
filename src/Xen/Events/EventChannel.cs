namespace Dbt.Xen.Events;

/// <summary>State of a port (public/event_channel.h, EVTCHNSTAT_*).</summary>
internal enum ChannelState
{
    /// <summary>Not in use.</summary>
    Free = 0,

    /// <summary>Waits for one domain to connect.</summary>
    Unbound = 1,

    /// <summary>Connected to a port of a domain, or to a backend of this process.</summary>
    Interdomain = 2,

    /// <summary>A virtual IRQ.</summary>
    Virq = 4,

    /// <summary>From one processor of the domain to another.</summary>
    Ipi = 5,
}

/// <summary>Virtual IRQs (public/xen.h, VIRQ_*).</summary>
internal static class Virq
{
    /// <summary>VIRQ_TIMER, per processor.</summary>
    public const int Timer = 0;

    /// <summary>VIRQ_DEBUG, per processor.</summary>
    public const int Debug = 1;

    /// <summary>NR_VIRQS.</summary>
    public const int Count = 24;

    /// <summary>Whether a virtual IRQ belongs to the domain rather than to each processor.</summary>
    public static bool IsGlobal(int virq) => virq is not (Timer or Debug or 7 or 13);
}

/// <summary>One port of a domain. All fields are guarded by the domain's event lock.</summary>
internal sealed class EventChannel
{
    public ChannelState State;

    /// <summary>Processor that is told of an event.</summary>
    public int Vcpu;

    /// <summary>Unbound: who may connect. Interdomain: who did; 0 is this process.</summary>
    public ushort RemoteDomain;

    /// <summary>Interdomain: the other side's port; a backend's own count where that is this process.</summary>
    public uint RemotePort;

    /// <summary>Interdomain: the other domain, null where that is this process.</summary>
    public Domain? Remote;

    /// <summary>Interdomain with this process: the backend's end.</summary>
    public BackendChannel? Backend;

    /// <summary>Virq: its number.</summary>
    public int Virq;

    /// <summary>FIFO: the queue for its next event, 0 the most urgent.</summary>
    public int Priority = FifoEvents.DefaultPriority;

    /// <summary>FIFO: the queue that it was on last. Outlives the port's use, for it may still be that queue's tail.</summary>
    public int QueueVcpu, QueuePriority;

    /// <summary>FIFO: an event waits for its event word to come.</summary>
    public bool IsLatched;

    /// <summary>Back to a free port.</summary>
    public void Reset()
    {
        State = ChannelState.Free;
        Vcpu = 0;
        RemoteDomain = 0;
        RemotePort = 0;
        Remote = null;
        Backend = null;
        Virq = 0;
        Priority = FifoEvents.DefaultPriority;
        IsLatched = false;
    }
}
