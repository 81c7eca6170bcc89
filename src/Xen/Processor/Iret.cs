using Dbt.Translator.State;
using Dbt.Xen.Abi;
using Dbt.Xen.Hypercalls;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Processor;

/// <summary>
/// The iret hypercall of i386: the guest's stack holds EAX, EIP, CS, EFLAGS and, for ring 3, ESP and SS. Unlike the instruction it also
/// restores the upcall mask, from the frame's IF.
/// </summary>
internal static unsafe class Iret
{
    private const int ArchitecturalIoplAssist = 4;

    /// <summary>No arguments; the result is the EAX that was on the stack.</summary>
    public static int Call(Vcpu vcpu, in HypercallArguments arguments)
    {
        CpuState* cpu = vcpu.State;
        uint esp = cpu->Gpr[(int)Gpr.Esp];
        uint at = cpu->Segments[SegmentIndex.Ss].Base + esp;
        uint* frame = stackalloc uint[10];
        if (!GuestAccess.TryRead(vcpu, at, new Span<byte>(frame, 16)))
        {
            return Crash(vcpu, at);
        }

        uint eax = frame[0], eip = frame[1], flags = frame[3];
        var cs = (ushort)frame[2];
        if ((vcpu.Domain.VmAssist & (1u << ArchitecturalIoplAssist)) != 0)
        {
            vcpu.Iopl = flags & Flags.Iopl;
        }

        vcpu.Callbacks.InNmi = false;
        if ((flags & Flags.Vm) != 0)
        {
            return GuestAccess.TryRead(vcpu, at, new Span<byte>(frame, 40)) ? RefuseVirtual8086(vcpu, frame) : Crash(vcpu, at);
        }

        ReturnPoint to;
        switch (cs & 3)
        {
            case 0:
                vcpu.Domain.Crash(vcpu, "iret hypercall to ring 0");
                return 0;
            case 1:
                to = new ReturnPoint(cs, eip, flags, cpu->Segments[SegmentIndex.Ss].Selector, esp + 16);
                break;
            default:
                if (!GuestAccess.TryRead(vcpu, at + 16, new Span<byte>(frame + 4, 8)))
                {
                    return Crash(vcpu, at);
                }

                to = new ReturnPoint(cs, eip, flags, (ushort)frame[5], frame[4]);
                break;
        }

        SetMask(vcpu, flags);
        FirstEntry.Go(vcpu, to, "iret hypercall");
        return (int)eax;
    }

    private static int Crash(Vcpu vcpu, uint at)
    {
        vcpu.Domain.Crash(vcpu, $"iret hypercall: its frame at {at:x8} can't be read");
        return 0;
    }

    private static void SetMask(Vcpu vcpu, uint flags) =>
        Volatile.Write(ref vcpu.Info[SharedInfoLayout.UpcallMask], (flags & Flags.If) == 0 ? (byte)1 : (byte)0);

    /// <summary>There is no virtual-8086 mode for PV guests: #GP, with the frame that was to be returned to on the kernel's stack.</summary>
    private static int RefuseVirtual8086(Vcpu vcpu, uint* frame)
    {
        uint eax = frame[0];
        TrapEntry entry = vcpu.Traps[(int)Vector.GeneralProtection];
        frame[0] = 0;
        uint esp = vcpu.KernelSp - 40;
        uint flags = entry.MasksEvents ? frame[3] & ~Flags.If : frame[3];
        var to = new ReturnPoint(entry.Selector, entry.Address, flags & ~(Flags.Vm | Flags.Rf | Flags.Nt | Flags.Tf), vcpu.KernelSs, esp);
        if (!GuestAccess.TryWrite(vcpu, esp, new ReadOnlySpan<byte>(frame, 40)) || !entry.IsSet)
        {
            vcpu.Domain.Crash(vcpu, "iret hypercall to virtual-8086 mode, and no way to tell the guest");
            return 0;
        }

        SetMask(vcpu, flags);
        if (!GuestEntry.TryGo(vcpu, to, out _))
        {
            vcpu.Domain.Crash(vcpu, "iret hypercall to virtual-8086 mode: the handler of #GP can't be entered");
        }

        return (int)eax;
    }
}
