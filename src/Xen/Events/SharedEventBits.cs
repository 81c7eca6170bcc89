using Dbt.Xen.Abi;

namespace Dbt.Xen.Events;

/// <summary>
/// The 2-level ABI's bits, which the guest changes at the same time: every access is atomic, and nothing read here is trusted for
/// more than "does somebody have to be woken".
/// </summary>
internal static unsafe class SharedEventBits
{
    /// <summary>Ports of the 2-level ABI on i386 (EVTCHN_2L_NR_CHANNELS); port 0 is never used.</summary>
    public const int Ports = 1024;

    /// <summary>Sets a port's pending bit and, where it was clear and the port isn't masked, tells the processor.</summary>
    public static void SetPending(Domain domain, uint port, Vcpu vcpu)
    {
        uint bit = 1u << (int)(port & 31);
        if ((Interlocked.Or(ref Pending(domain, port), bit) & bit) == 0 && (Volatile.Read(ref Mask(domain, port)) & bit) == 0)
        {
            Select(vcpu, port);
        }
    }

    /// <summary>Clears a port's mask bit and, where an event waits, tells the processor.</summary>
    public static void Unmask(Domain domain, uint port, Vcpu vcpu)
    {
        uint bit = 1u << (int)(port & 31);
        if ((Interlocked.And(ref Mask(domain, port), ~bit) & bit) != 0 && (Volatile.Read(ref Pending(domain, port)) & bit) != 0)
        {
            Select(vcpu, port);
        }
    }

    /// <summary>Clears a port's pending bit, so that its next owner finds none.</summary>
    public static void ClearPending(Domain domain, uint port) => Interlocked.And(ref Pending(domain, port), ~(1u << (int)(port & 31)));

    /// <summary>Whether a port's pending bit is set.</summary>
    public static bool IsPending(Domain domain, uint port) => (Volatile.Read(ref Pending(domain, port)) >> (int)(port & 31) & 1) != 0;

    /// <summary>Whether a port's mask bit is set.</summary>
    public static bool IsMasked(Domain domain, uint port) => (Volatile.Read(ref Mask(domain, port)) >> (int)(port & 31) & 1) != 0;

    /// <summary>Tells a processor that something is pending (vcpu_mark_events_pending).</summary>
    public static void MarkPending(Vcpu vcpu)
    {
        if (Interlocked.Exchange(ref vcpu.Info[SharedInfoLayout.UpcallPending], 1) == 0)
        {
            vcpu.Hvm?.UpcallRaised();
            vcpu.Kick();
        }
    }

    private static void Select(Vcpu vcpu, uint port)
    {
        uint bit = 1u << (int)(port >> 5);
        if ((Interlocked.Or(ref *(uint*)(vcpu.Info + SharedInfoLayout.PendingSelector), bit) & bit) == 0)
        {
            MarkPending(vcpu);
        }
    }

    private static ref uint Pending(Domain domain, uint port) => ref ((uint*)(domain.SharedInfo + SharedInfoLayout.EventPending))[port >> 5];

    private static ref uint Mask(Domain domain, uint port) => ref ((uint*)(domain.SharedInfo + SharedInfoLayout.EventMask))[port >> 5];
}
