using System.Runtime.InteropServices;
using Dbt.Xen.Abi;
using Dbt.Xen.Hypercalls;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Hvm;

/// <summary>The subcommands of HYPERVISOR_memory_op that change an auto-translated domain's own physmap (public/memory.h).</summary>
internal static class PhysmapOp
{
    private const uint SpaceSharedInfo = 0, SpaceGrantTable = 1, SpaceGuestFrame = 2, SpaceForeign = 4;
    private const uint GrantStatusFrames = 0x80000000;

    /// <summary>struct xen_add_to_physmap.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct AddRequest
    {
        public ushort Domain, Size;
        public uint Space, Index, Frame;
    }

    /// <summary>struct xen_remove_from_physmap.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct RemoveRequest
    {
        public ushort Domain, Padding;
        public uint Frame;
    }

    /// <summary>struct xen_add_to_physmap_batch.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Batch
    {
        public ushort Domain, Space, Size, Extra;
        public uint Indexes, Frames, Errors;
    }

    /// <summary>XENMEM_add_to_physmap: struct xen_add_to_physmap, whose size counts for ranges alone.</summary>
    public static int Add(Vcpu vcpu, uint argument)
    {
        if (!GuestAccess.TryRead(vcpu, argument, out AddRequest request))
        {
            return -Errno.EFAULT;
        }

        // Foreign pages go by the batched form alone; a range isn't for guests.
        if (request.Space > SpaceGuestFrame)
        {
            return -Errno.ENOSYS;
        }

        int error = MemoryHypercall.CheckDomain(vcpu, request.Domain);
        return error != 0 ? error : Place(vcpu.Domain, request.Space, request.Index, request.Frame);
    }

    /// <summary>XENMEM_add_to_physmap_batch: an error for each page, and one where the arrays can't be reached.</summary>
    public static int AddBatch(Vcpu vcpu, in HypercallArguments arguments, uint start)
    {
        if (!GuestAccess.TryRead(vcpu, arguments.A2, out Batch batch)
            || !GuestAccess.IsInRange(vcpu, batch.Indexes, batch.Size, 4) || !GuestAccess.IsInRange(vcpu, batch.Frames, batch.Size, 4)
            || !GuestAccess.IsInRange(vcpu, batch.Errors, batch.Size, 4))
        {
            return -Errno.EFAULT;
        }

        if (start >= batch.Size && start != 0)
        {
            return -Errno.EILSEQ;
        }

        int error = batch.Space == SpaceForeign ? -Errno.EPERM : MemoryHypercall.CheckDomain(vcpu, batch.Domain);
        for (uint i = start; error == 0 && i < batch.Size; i++)
        {
            if (i != start && MemoryHypercall.ShouldStop(vcpu))
            {
                vcpu.Continuation = arguments with { A1 = (arguments.A1 & 0x3F) | (i << 6) };
                return 0;
            }

            if (!GuestAccess.TryRead(vcpu, batch.Indexes + (i * 4), out uint index) || !GuestAccess.TryRead(vcpu, batch.Frames + (i * 4), out uint frame)
                || !GuestAccess.TryWrite(vcpu, batch.Errors + (i * 4), Place(vcpu.Domain, batch.Space, index, frame)))
            {
                error = -Errno.EFAULT;
            }
        }

        return error;
    }

    /// <summary>XENMEM_remove_from_physmap: struct xen_remove_from_physmap.</summary>
    public static int Remove(Vcpu vcpu, uint argument)
    {
        if (!GuestAccess.TryRead(vcpu, argument, out RemoveRequest request))
        {
            return -Errno.EFAULT;
        }

        int error = MemoryHypercall.CheckDomain(vcpu, request.Domain);
        return error != 0 ? error : vcpu.Domain.Memory.RemoveFromPhysmap(request.Frame);
    }

    private static int Place(Domain domain, uint space, uint index, uint gfn)
    {
        uint mfn = 0;
        switch (space)
        {
            case SpaceSharedInfo when index == 0:
                mfn = domain.SharedInfoMfn;
                break;
            case SpaceGrantTable:
                mfn = (index & GrantStatusFrames) != 0 ? domain.Grants.TryGetStatusFrame(index & ~GrantStatusFrames) : domain.Grants.TryGetFrame(index);
                break;
            case SpaceGuestFrame:
                mfn = domain.Hvm!.Physmap[index];
                break;
            case > SpaceGuestFrame:
                return -Errno.ENOSYS;
        }

        return mfn == 0 ? -Errno.EINVAL : domain.Memory.PlaceInPhysmap(mfn, gfn);
    }
}
