using Dbt.Xen.Abi;
using static Dbt.Xen.Abi.Errno;

namespace Dbt.Xen.Memory;

/// <summary>What the memory hypercalls have in common: whom a domain id names, and when to stop for a while.</summary>
internal static unsafe class MemoryHypercall
{
    /// <summary>A count's top bit: this call continues an interrupted one (MMU_UPDATE_PREEMPTED).</summary>
    public const uint Preempted = 0x80000000;

    /// <summary>Whether something waits for the processor, so that a long list of requests is to be interrupted.</summary>
    public static bool ShouldStop(Vcpu vcpu) => vcpu.State->Attention != 0 || vcpu.Domain.IsStopped;

    /// <summary>
    /// The domain whose memory a request may work on: the caller itself, by its id or DOMID_SELF. Another's would need a privilege
    /// that no guest has here.
    /// </summary>
    /// <returns>0, -EPERM for one that exists (domain 0 among them), -ESRCH for one that doesn't.</returns>
    public static int CheckDomain(Vcpu vcpu, uint id)
    {
        if (vcpu.Domain.IsSelf(id))
        {
            return 0;
        }

        return id is 0 or Layout.DomidXen || (id <= ushort.MaxValue && vcpu.Domain.Hypervisor.Find((ushort)id) is not null) ? -EPERM : -ESRCH;
    }

    /// <summary>Adds to the guest's count of finished requests, where it gave a pointer.</summary>
    public static void AddDone(Vcpu vcpu, uint pointer, uint before, uint done)
    {
        if (pointer != 0)
        {
            // As in Xen, a bad pointer is the caller's own loss.
            _ = GuestAccess.TryWrite(vcpu, pointer, before + done);
        }
    }

    /// <summary>What is kept of an interrupted call's count.</summary>
    public static uint DoneBefore(Vcpu vcpu, uint pointer) =>
        pointer != 0 && GuestAccess.TryRead(vcpu, pointer, out uint done) ? done : 0;
}
