using Dbt.Xen.Abi;

namespace Dbt.Xen.Events;

/// <summary>
/// How a domain is told of events: by the 2-level bits (<see cref="TwoLevelEvents"/>), or by queues (<see cref="FifoEvents"/>) once it asked for
/// them. What is shared with the guest is the guest's to change at any moment, so every access is atomic, and nothing read there is trusted for more than
/// "does somebody have to be woken". Calls come under the domain's event lock.
/// </summary>
internal abstract class EventAbi
{
    /// <summary>Ports there can be, port 0 included, which is never used.</summary>
    public abstract int Ports { get; }

    /// <summary>An event arrives at a port: its processor is told unless the port is masked, or an event waits there already.</summary>
    public abstract void SetPending(uint port, EventChannel channel);

    /// <summary>Clears a port's mask and tells its processor of an event that waits.</summary>
    /// <param name="port">The port.</param>
    /// <param name="channel">What it is; null for one that never was any.</param>
    public abstract void Unmask(uint port, EventChannel? channel);

    /// <summary>Takes an event back that waits, so that the port's next owner finds none.</summary>
    public abstract void ClearPending(uint port);

    /// <summary>Whether an event waits.</summary>
    public abstract bool IsPending(uint port);

    /// <summary>Whether the guest has masked a port.</summary>
    public abstract bool IsMasked(uint port);

    /// <summary>Whether a port that is free can't be used again yet, because the guest still has it on a queue.</summary>
    public virtual bool IsBusy(uint port) => false;

    /// <summary>EVTCHNOP_set_priority.</summary>
    public virtual int SetPriority(EventChannel channel, uint priority) => -Errno.ENOSYS;

    /// <summary>Tells a processor that something is pending (vcpu_mark_events_pending).</summary>
    public static unsafe void MarkPending(Vcpu vcpu)
    {
        if (Interlocked.Exchange(ref vcpu.Info[SharedInfoLayout.UpcallPending], 1) == 0)
        {
            vcpu.Hvm?.UpcallRaised();
            vcpu.Kick();
        }
    }
}
