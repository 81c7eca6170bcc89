using Dbt.Xen.Abi;

namespace Dbt.Xen.Events;

/// <summary>The 2-level ABI: pending and mask bits in shared_info, and a selector word for each processor.</summary>
internal sealed unsafe class TwoLevelEvents(Domain domain) : EventAbi
{
    /// <summary>Ports of the 2-level ABI on i386 (EVTCHN_2L_NR_CHANNELS).</summary>
    public const int Limit = 1024;

    /// <inheritdoc/>
    public override int Ports => Limit;

    /// <inheritdoc/>
    public override void SetPending(uint port, EventChannel channel)
    {
        uint bit = 1u << (int)(port & 31);
        if ((Interlocked.Or(ref Pending(port), bit) & bit) == 0 && (Volatile.Read(ref Mask(port)) & bit) == 0)
        {
            Select(domain.Vcpus[channel.Vcpu], port);
        }
    }

    /// <inheritdoc/>
    public override void Unmask(uint port, EventChannel? channel)
    {
        uint bit = 1u << (int)(port & 31);
        if ((Interlocked.And(ref Mask(port), ~bit) & bit) != 0 && (Volatile.Read(ref Pending(port)) & bit) != 0)
        {
            Select(domain.Vcpus[channel?.Vcpu ?? 0], port);
        }
    }

    /// <inheritdoc/>
    public override void ClearPending(uint port) => Interlocked.And(ref Pending(port), ~(1u << (int)(port & 31)));

    /// <inheritdoc/>
    public override bool IsPending(uint port) => (Volatile.Read(ref Pending(port)) >> (int)(port & 31) & 1) != 0;

    /// <inheritdoc/>
    public override bool IsMasked(uint port) => (Volatile.Read(ref Mask(port)) >> (int)(port & 31) & 1) != 0;

    private static void Select(Vcpu vcpu, uint port)
    {
        uint bit = 1u << (int)(port >> 5);
        if ((Interlocked.Or(ref *(uint*)(vcpu.Info + SharedInfoLayout.PendingSelector), bit) & bit) == 0)
        {
            MarkPending(vcpu);
        }
    }

    private ref uint Pending(uint port) => ref ((uint*)(domain.SharedInfo + SharedInfoLayout.EventPending))[port >> 5];

    private ref uint Mask(uint port) => ref ((uint*)(domain.SharedInfo + SharedInfoLayout.EventMask))[port >> 5];
}
