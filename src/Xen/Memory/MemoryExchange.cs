using System.Runtime.InteropServices;
using Dbt.Xen.Hypercalls;
using static Dbt.Xen.Abi.Errno;
using static Dbt.Xen.Memory.MemoryOp;

namespace Dbt.Xen.Memory;

/// <summary>
/// XENMEM_exchange: gives pages of one extent order back for as many of another. Chunk by chunk: the input pages are taken only where
/// nothing else refers to them, and come back where the output can't be had.
/// </summary>
internal static unsafe class MemoryExchange
{
    private const uint DoneOffset = 40;

    /// <summary>struct xen_memory_exchange, 44 bytes.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Argument
    {
        public ReservationArgument In, Out;
        public uint Done;
    }

    public static int Call(Vcpu vcpu, in HypercallArguments arguments)
    {
        uint argument = arguments.A2;
        if (!GuestAccess.TryRead(vcpu, argument, out Argument exchange))
        {
            return -EFAULT;
        }

        int error = Check(vcpu, exchange, out uint limit);
        uint done = exchange.Done;
        if (error == 0 && done == exchange.In.ExtentCount)
        {
            return 0;
        }

        // A chunk is the larger of one input extent and one output extent.
        int inputs = Math.Max((int)exchange.Out.ExtentOrder - (int)exchange.In.ExtentOrder, 0);
        int outputs = Math.Max((int)exchange.In.ExtentOrder - (int)exchange.Out.ExtentOrder, 0);
        if (error == 0)
        {
            uint chunk = done >> inputs;
            uint first = chunk;
            for (; error == 0 && chunk < exchange.In.ExtentCount >> inputs; chunk++)
            {
                if (chunk != first && MemoryHypercall.ShouldStop(vcpu))
                {
                    vcpu.Continuation = arguments;
                    break;
                }

                error = Chunk(vcpu, exchange, chunk, inputs, outputs, limit, out bool exchanged);
                if (!exchanged)
                {
                    break;
                }
            }

            done = chunk << inputs;
        }

        return GuestAccess.TryWrite(vcpu, argument + DoneOffset, done) ? error : -EFAULT;
    }

    private static int Check(Vcpu vcpu, in Argument exchange, out uint limit)
    {
        limit = 0;
        if (Math.Max(exchange.In.ExtentOrder, exchange.Out.ExtentOrder) > MaximumOrder)
        {
            return -EPERM;
        }

        ulong pagesIn = (ulong)exchange.In.ExtentCount << (int)exchange.In.ExtentOrder;
        ulong pagesOut = (ulong)exchange.Out.ExtentCount << (int)exchange.Out.ExtentOrder;
        if (exchange.Done > exchange.In.ExtentCount || exchange.In.DomainId != exchange.Out.DomainId || pagesIn != pagesOut
            || pagesIn > uint.MaxValue || !TryLimit(exchange.Out.AddressBits, out limit))
        {
            return -EINVAL;
        }

        // Both lists lie below the hypervisor, whatever part of them is still to do (XSA-29, XSA-212).
        if (!GuestAccess.IsInRange(vcpu, exchange.In.ExtentStart, exchange.In.ExtentCount, 4)
            || !GuestAccess.IsInRange(vcpu, exchange.Out.ExtentStart, exchange.Out.ExtentCount, 4))
        {
            return -EFAULT;
        }

        return MemoryHypercall.CheckDomain(vcpu, exchange.In.DomainId);
    }

    private static int Chunk(
        Vcpu vcpu, in Argument exchange, uint chunk, int inputs, int outputs, uint limit, out bool exchanged)
    {
        exchanged = false;
        DomainMemory memory = vcpu.Domain.Memory;
        var taken = new List<uint>();
        var fresh = new List<uint>();
        int error = Take(vcpu, exchange, chunk << inputs, 1u << inputs, taken);
        for (uint i = 0; error == 0 && i < 1u << outputs; i++)
        {
            if (memory.TryAllocateUnowned((int)exchange.Out.ExtentOrder, limit, out uint mfn))
            {
                fresh.Add(mfn);
            }
            else
            {
                error = -ENOMEM;
            }
        }

        if (error != 0)
        {
            memory.FreeUnowned(fresh, (int)exchange.Out.ExtentOrder);
            memory.GiveBackStolen(taken);
            return error;
        }

        // From here on the chunk can't fail; a list that has gone unreadable since is the guest's own loss.
        exchanged = true;
        memory.FreeUnowned(taken, order: 0);
        for (int i = 0; i < fresh.Count; i++)
        {
            memory.AdoptUnowned(fresh[i], (int)exchange.Out.ExtentOrder);
            uint slot = exchange.Out.ExtentStart + (((chunk << outputs) + (uint)i) * 4);
            if (!GuestAccess.TryRead(vcpu, slot, out uint pfn))
            {
                error = -EFAULT;
                continue;
            }

            for (uint page = 0; page < 1u << (int)exchange.Out.ExtentOrder; page++)
            {
                vcpu.Domain.Hypervisor.MachineToPhys[fresh[i] + page] = pfn + page;
            }

            if (!GuestAccess.TryWrite(vcpu, slot, fresh[i]))
            {
                error = -EFAULT;
            }
        }

        return error;
    }

    private static int Take(Vcpu vcpu, in Argument exchange, uint first, uint count, List<uint> taken)
    {
        for (uint i = 0; i < count; i++)
        {
            if (!GuestAccess.TryRead(vcpu, exchange.In.ExtentStart + ((first + i) * 4), out uint mfn))
            {
                return -EFAULT;
            }

            for (uint page = 0; page < 1u << (int)exchange.In.ExtentOrder; page++)
            {
                if (!vcpu.Domain.Memory.TrySteal((ulong)mfn + page))
                {
                    return -EINVAL;
                }

                taken.Add(mfn + page);
            }
        }

        return 0;
    }
}
