using System.Runtime.InteropServices;
using Dbt.Xen.Abi;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Hypercalls;

/// <summary>
/// HYPERVISOR_multicall (public/xen.h): a list of hypercalls, each with its result. It stops where one of them leaves the guest's kernel
/// (iret, XSA-213), and comes back to the guest between two entries where something waits for the processor.
/// </summary>
internal static unsafe class Multicall
{
    private const uint IretNumber = 23, MulticallNumber = 13;

    /// <summary>struct multicall_entry of i386.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Entry
    {
        public uint Operation, Result;
        public fixed uint Arguments[6];
    }

    /// <summary>EBX entries, ECX how many.</summary>
    public static int Call(Vcpu vcpu, in HypercallArguments arguments)
    {
        uint list = arguments.A1, count = arguments.A2;
        if (!GuestAccess.IsInRange(vcpu, list, count, (uint)sizeof(Entry)))
        {
            return -Errno.EFAULT;
        }

        for (uint done = 0; done < count; done++)
        {
            uint at = list + (done * (uint)sizeof(Entry));
            if (done != 0 && vcpu.State->Attention != 0)
            {
                vcpu.Continuation = arguments with { A1 = at, A2 = count - done };
                return 0;
            }

            if (!GuestAccess.TryRead(vcpu, at, out Entry entry))
            {
                return -Errno.EFAULT;
            }

            // A multicall within one would let a guest use up our stack.
            int result = entry.Operation == MulticallNumber ? -Errno.EINVAL : HypercallDispatch.Call(vcpu, entry.Operation, ToArguments(entry));
            if (vcpu.Continuation is { } again)
            {
                vcpu.Continuation = null;
                FromArguments(ref entry, again);
                if (!GuestAccess.TryWrite(vcpu, at, entry))
                {
                    return -Errno.EFAULT;
                }

                vcpu.Continuation = arguments with { A1 = at, A2 = count - done };
                return 0;
            }

            bool written = GuestAccess.TryWrite(vcpu, at + 4, (uint)result);
            if (entry.Operation == IretNumber)
            {
                return result;
            }

            if (!written)
            {
                return -Errno.EFAULT;
            }

            if (vcpu.State->Cpl != 1 || vcpu.Domain.IsStopped)
            {
                return 0;
            }
        }

        return 0;
    }

    private static HypercallArguments ToArguments(in Entry entry) => new(
        entry.Arguments[0],
        entry.Arguments[1],
        entry.Arguments[2],
        entry.Arguments[3],
        entry.Arguments[4],
        entry.Arguments[5]);

    private static void FromArguments(ref Entry entry, in HypercallArguments from)
    {
        entry.Arguments[0] = from.A1;
        entry.Arguments[1] = from.A2;
        entry.Arguments[2] = from.A3;
        entry.Arguments[3] = from.A4;
        entry.Arguments[4] = from.A5;
        entry.Arguments[5] = from.A6;
    }
}
