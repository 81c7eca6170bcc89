using System.Runtime.InteropServices;
using Dbt.Xen.Abi;
using Dbt.Xen.Hypercalls;
using static Dbt.Xen.Abi.Errno;

namespace Dbt.Xen.Memory;

/// <summary>HYPERVISOR_mmu_update (public/xen.h): a list of page-table and machine-to-phys updates.</summary>
internal static unsafe class MmuUpdate
{
    private const uint NormalUpdate = 0, MachinePhysUpdate = 1, PreserveAccessed = 2, NoTranslate = 3;

    /// <summary>struct mmu_update.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Request
    {
        public ulong Pointer, Value;
    }

    /// <summary>EBX requests, ECX count, EDX pointer to the count of those done (or null), ESI foreign domains: tables' &lt;&lt; 16 | pages'.</summary>
    public static int Call(Vcpu vcpu, in HypercallArguments arguments)
    {
        uint requests = arguments.A1, donePointer = arguments.A3, foreign = arguments.A4;
        uint count = arguments.A2 & ~MemoryHypercall.Preempted;
        uint before = (arguments.A2 & MemoryHypercall.Preempted) != 0 ? MemoryHypercall.DoneBefore(vcpu, donePointer) : 0;
        if (!GuestAccess.IsInRange(vcpu, requests, count, (uint)sizeof(Request)))
        {
            return -EFAULT;
        }

        uint tableDomain = foreign >> 16;
        ushort pageDomain = (ushort)foreign;
        int error = tableDomain == 0 ? 0 : MemoryHypercall.CheckDomain(vcpu, tableDomain - 1);
        if (error == 0 && pageDomain != Layout.DomidIo)
        {
            error = MemoryHypercall.CheckDomain(vcpu, pageDomain);
            pageDomain = vcpu.Domain.Id;
        }

        uint done = 0;
        for (; error == 0 && done < count; done++)
        {
            if (done != 0 && MemoryHypercall.ShouldStop(vcpu))
            {
                uint at = requests + (done * (uint)sizeof(Request));
                vcpu.Continuation = arguments with { A1 = at, A2 = (count - done) | MemoryHypercall.Preempted };
                break;
            }

            error = GuestAccess.TryRead(vcpu, requests + (done * (uint)sizeof(Request)), out Request request)
                ? One(vcpu, request, pageDomain)
                : -EFAULT;
            if (error != 0)
            {
                break;
            }
        }

        vcpu.Domain.Memory.Relax();
        MemoryHypercall.AddDone(vcpu, donePointer, before, done);
        return error;
    }

    private static int One(Vcpu vcpu, in Request request, ushort pageDomain)
    {
        DomainMemory memory = vcpu.Domain.Memory;
        uint command = (uint)request.Pointer & 7;
        ulong frame = request.Pointer >> 12;
        return command switch
        {
            NormalUpdate or PreserveAccessed or NoTranslate => memory.UpdateEntry(
                frame, (int)(request.Pointer >> 3) & 511, request.Value, command == PreserveAccessed, pageDomain),
            MachinePhysUpdate => memory.SetPseudoPhysical(frame, (uint)request.Value),
            _ => -ENOSYS,
        };
    }
}
