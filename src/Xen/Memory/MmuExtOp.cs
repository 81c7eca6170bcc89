using System.Runtime.InteropServices;
using Dbt.Xen.Abi;
using Dbt.Xen.Hypercalls;
using static Dbt.Xen.Abi.Errno;

namespace Dbt.Xen.Memory;

/// <summary>
/// HYPERVISOR_mmuext_op (public/xen.h): pins, base pointers, flushes, the LDT, clearing and copying pages. Software TLBs drop what a changed
/// entry covered at once, so a flush of one's own finds nothing to do, and one of others waits for them (<see cref="Shootdown"/>).
/// </summary>
internal static unsafe class MmuExtOp
{
    private const uint PinL1 = 0, PinL2 = 1, PinL3 = 2, PinL4 = 3, UnpinTable = 4, NewBasePointer = 5, FlushLocal = 6, InvalidateLocal = 7,
        FlushMulti = 8, InvalidateMulti = 9, FlushAll = 10, InvalidateAll = 11, FlushCache = 12, SetLdt = 13, NewUserBasePointer = 15,
        ClearPage = 16, CopyPage = 17, FlushCacheGlobal = 18, MarkSuper = 19, UnmarkSuper = 20;

    /// <summary>struct mmuext_op.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Operation
    {
        public uint Command, Argument1, Argument2;
    }

    /// <summary>EBX operations, ECX count, EDX pointer to the count of those done (or null), ESI the domain, one's own.</summary>
    public static int Call(Vcpu vcpu, in HypercallArguments arguments)
    {
        uint operations = arguments.A1, donePointer = arguments.A3;
        uint count = arguments.A2 & ~MemoryHypercall.Preempted;
        uint before = (arguments.A2 & MemoryHypercall.Preempted) != 0 ? MemoryHypercall.DoneBefore(vcpu, donePointer) : 0;
        if (!GuestAccess.IsInRange(vcpu, operations, count, (uint)sizeof(Operation)))
        {
            return -EFAULT;
        }

        int error = MemoryHypercall.CheckDomain(vcpu, arguments.A4);
        if (error != 0)
        {
            return error;
        }

        uint done = 0;
        for (; done < count; done++)
        {
            uint at = operations + (done * (uint)sizeof(Operation));
            if (done != 0 && MemoryHypercall.ShouldStop(vcpu))
            {
                vcpu.Continuation = arguments with { A1 = at, A2 = (count - done) | MemoryHypercall.Preempted };
                break;
            }

            error = GuestAccess.TryRead(vcpu, at, out Operation operation) ? One(vcpu, operation) : -EFAULT;
            if (error != 0)
            {
                break;
            }
        }

        vcpu.Domain.Memory.Relax();
        MemoryHypercall.AddDone(vcpu, donePointer, before, done);
        return error;
    }

    private static int One(Vcpu vcpu, in Operation operation)
    {
        DomainMemory memory = vcpu.Domain.Memory;
        switch (operation.Command)
        {
            case PinL1 or PinL2 or PinL3:
                return memory.Pin(operation.Argument1, (PageType)(operation.Command - PinL1 + (uint)PageType.L1));
            case PinL4:
                // A paging level that a PAE guest doesn't have is ignored.
                return 0;
            case UnpinTable:
                return memory.Unpin(operation.Argument1);
            case NewBasePointer:
                return memory.SwitchBase(vcpu, operation.Argument1);
            case NewUserBasePointer:
                return -EINVAL;
            case FlushLocal or InvalidateLocal:
                return 0;
            case FlushAll or InvalidateAll:
                Shootdown.All(vcpu);
                return 0;
            case FlushMulti or InvalidateMulti:
                return Shootdown.Masked(vcpu, operation.Argument2) == 0 ? 0 : -EINVAL;
            case FlushCache or FlushCacheGlobal:
                // For domains with devices only.
                return -EACCES;
            case SetLdt:
                return ChangeLdt(vcpu, operation.Argument1, operation.Argument2);
            case ClearPage:
                return memory.ClearPage(operation.Argument1);
            case CopyPage:
                return memory.CopyPage(operation.Argument1, operation.Argument2);
            case MarkSuper or UnmarkSuper:
                return -EOPNOTSUPP;
            default:
                return -ENOSYS;
        }
    }

    private static int ChangeLdt(Vcpu vcpu, uint linear, uint entries)
    {
        if (entries > 8192 || (entries != 0 && ((linear & 0xFFF) != 0 || linear >= Layout.HypervisorStart)))
        {
            return -EINVAL;
        }

        // The LDT's pages get their type when they are first used, within an instruction that can't wait: whatever was mapped writable
        // until now is settled here.
        _ = vcpu.Domain.Memory.TrySettle();
        vcpu.LoadLdt(entries == 0 ? 0 : linear, entries);
        return 0;
    }
}
