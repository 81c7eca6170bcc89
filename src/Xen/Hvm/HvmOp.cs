using System.Runtime.InteropServices;
using Dbt.Xen.Abi;
using Dbt.Xen.Hypercalls;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Hvm;

/// <summary>HYPERVISOR_hvm_op (public/hvm/hvm_op.h). A paravirtual domain has no parameters.</summary>
internal static class HvmOp
{
    private const uint SetParameter = 0, GetParameter = 1, FlushTlbs = 5, PagetableDying = 9, GetTime = 10, GetMemoryType = 15,
        SetUpcallVector = 23;

    // HVMMEM_ram_rw, HVMMEM_mmio_dm. A vector below 16 is an exception's.
    private const ushort MemoryRam = 0, MemoryDevice = 2;
    internal const byte LeastVector = 16;

    /// <summary>struct xen_hvm_param.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 4)]
    private struct Parameter
    {
        public ushort Domain, Padding;
        public uint Index;
        public ulong Value;
    }

    /// <summary>struct xen_hvm_evtchn_upcall_vector.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct UpcallVector
    {
        public uint Vcpu;
        public byte Vector;
    }

    /// <summary>EBX command, ECX pointer to its structure.</summary>
    public static int Call(Vcpu vcpu, in HypercallArguments arguments)
    {
        uint at = arguments.A2;
        switch (arguments.A1)
        {
            case SetParameter or GetParameter:
                return Access(vcpu, at, arguments.A1 == SetParameter);
            case FlushTlbs when vcpu.Domain.Hvm is not null && at == 0:
                // The software TLBs follow the p2m by themselves.
                return 0;
            case GetTime when vcpu.Domain.Hvm is not null:
                return GuestAccess.TryWrite(vcpu, at, (ulong)vcpu.Domain.Clock.Now) ? 0 : -Errno.EFAULT;
            case GetMemoryType when vcpu.Domain.Hvm is not null:
                return MemoryType(vcpu, at);
            case SetUpcallVector when vcpu.Domain.Hvm is not null:
                return SetVector(vcpu, at);
            case PagetableDying:
                return -Errno.EOPNOTSUPP;
            default:
                return -Errno.ENOSYS;
        }
    }

    private static int Access(Vcpu vcpu, uint at, bool set)
    {
        if (!GuestAccess.TryRead(vcpu, at, out Parameter parameter))
        {
            return -Errno.EFAULT;
        }

        if (vcpu.Domain.Hvm is not { } hvm || parameter.Index >= HvmParameters.Count)
        {
            return -Errno.EINVAL;
        }

        int error = MemoryHypercall.CheckDomain(vcpu, parameter.Domain);
        if (error != 0)
        {
            return error;
        }

        if (!set)
        {
            return !HvmParameters.IsReadable(parameter.Index) ? -Errno.EPERM
                : GuestAccess.TryWrite(vcpu, at + 8, hvm.Parameters[parameter.Index]) ? 0 : -Errno.EFAULT;
        }

        if (!HvmParameters.IsWritable(parameter.Index))
        {
            return -Errno.EPERM;
        }

        hvm.Parameters[parameter.Index] = parameter.Value;
        if (parameter.Index == HvmParameters.CallbackIrq)
        {
            // What was pending already has somewhere to go now.
            foreach (Vcpu other in vcpu.Domain.Vcpus)
            {
                other.Kick();
            }
        }

        return 0;
    }

    /// <summary>struct xen_hvm_get_mem_type: domain, type, two words of padding, GFN.</summary>
    private static int MemoryType(Vcpu vcpu, uint at)
    {
        Span<byte> request = stackalloc byte[16];
        if (!GuestAccess.TryRead(vcpu, at, request))
        {
            return -Errno.EFAULT;
        }

        int error = MemoryHypercall.CheckDomain(vcpu, MemoryMarshal.Read<ushort>(request));
        if (error != 0)
        {
            return error;
        }

        ushort type = vcpu.Domain.Hvm!.Physmap[MemoryMarshal.Read<ulong>(request[8..])] != 0 ? MemoryRam : MemoryDevice;
        return GuestAccess.TryWrite(vcpu, at + 2, type) ? 0 : -Errno.EFAULT;
    }

    private static int SetVector(Vcpu vcpu, uint at)
    {
        if (!GuestAccess.TryRead(vcpu, at, out UpcallVector request))
        {
            return -Errno.EFAULT;
        }

        if (request.Vector < LeastVector)
        {
            return -Errno.EINVAL;
        }

        if (request.Vcpu >= vcpu.Domain.Vcpus.Count)
        {
            return -Errno.ENOENT;
        }

        Vcpu target = vcpu.Domain.Vcpus[(int)request.Vcpu];
        target.Hvm!.UpcallVector = request.Vector;
        target.Hvm.UpcallRaised();
        return 0;
    }
}
