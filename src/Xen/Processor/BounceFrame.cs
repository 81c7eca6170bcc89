using Dbt.Translator.State;
using Dbt.Xen.Abi;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Processor;

/// <summary>An entry to the guest's kernel.</summary>
/// <param name="Selector">Handler's code selector.</param>
/// <param name="Address">Offset in it.</param>
/// <param name="MasksEvents">Whether upcalls are masked on entry.</param>
/// <param name="ErrorCode">Error code to push, or null.</param>
/// <param name="What">What it is, for the message of a crash.</param>
internal readonly record struct Bounce(ushort Selector, uint Address, bool MasksEvents, uint? ErrorCode, string What)
{
    /// <summary>Data selectors to push last, of the failsafe callback; its stack segment is the flat one.</summary>
    public DataSelectors? Selectors { get; init; }
}

/// <summary>The four data selectors that a processor is to have.</summary>
internal readonly record struct DataSelectors(ushort Ds, ushort Es, ushort Fs, ushort Gs);

/// <summary>
/// The interrupt frame that the hypervisor builds on the guest kernel's stack. From ring 3 it is the stack that stack_switch named, from
/// ring 1 the present one. From low to high addresses: [error code] or [DS, ES, FS, GS], EIP, CS with the old upcall mask in bits 16..23, EFLAGS with IF as
/// the inverse of that mask, and from ring 3 ESP and SS (public/arch-x86/xen-x86_32.h, cpu_user_regs).
/// </summary>
internal static unsafe class BounceFrame
{
    private const uint ClearedOnEntry = Flags.Vm | Flags.Rf | Flags.Nt | Flags.Tf;
    private const int ArchitecturalIoplAssist = 4;

    /// <summary>
    /// Enters the guest's kernel from <paramref name="from"/>. A frame that can't be written, a missing handler or a handler that can't be
    /// entered ends the domain: nothing is left that could be told of it.
    /// </summary>
    public static void Enter(Vcpu vcpu, in Bounce bounce, in ReturnPoint from)
    {
        if ((bounce.Selector & ~3) == 0)
        {
            vcpu.Domain.Crash(vcpu, $"{bounce.What}: the guest has no handler for it");
            return;
        }

        ushort ss = bounce.Selectors is not null ? Layout.FlatRing1Ds : from.IsOuter ? vcpu.KernelSs : from.Ss;
        uint esp = from.IsOuter ? vcpu.KernelSp : from.Esp;
        if (!TryStackBase(vcpu, ss, out uint stackBase))
        {
            vcpu.Domain.Crash(vcpu, $"{bounce.What}: the kernel stack's segment {ss:x4} can't be loaded");
            return;
        }

        byte* mask = vcpu.Info + SharedInfoLayout.UpcallMask;
        byte oldMask = Volatile.Read(ref *mask);
        uint* frame = stackalloc uint[10];
        int count = 0;
        if (bounce.ErrorCode is { } error)
        {
            frame[count++] = error;
        }

        if (bounce.Selectors is { } selectors)
        {
            frame[count++] = selectors.Ds;
            frame[count++] = selectors.Es;
            frame[count++] = selectors.Fs;
            frame[count++] = selectors.Gs;
        }

        frame[count++] = from.Eip;
        frame[count++] = from.Cs | ((uint)oldMask << 16);
        frame[count++] = (from.Eflags & ~(Flags.If | Flags.Iopl)) | (oldMask == 0 ? Flags.If : 0) | ShownIopl(vcpu);
        if (from.IsOuter)
        {
            frame[count++] = from.Esp;
            frame[count++] = from.Ss;
        }

        esp -= (uint)count * 4;
        if (!GuestAccess.TryWrite(vcpu, stackBase + esp, new ReadOnlySpan<byte>(frame, count * 4)))
        {
            vcpu.Domain.Crash(vcpu, $"{bounce.What}: double fault, the kernel stack at {stackBase + esp:x8} can't be written");
            return;
        }

        if (bounce.MasksEvents)
        {
            Volatile.Write(ref *mask, 1);
        }

        var to = new ReturnPoint(bounce.Selector, bounce.Address, from.Eflags & ~ClearedOnEntry, ss, esp);
        if (!GuestEntry.TryGo(vcpu, to, out Fault fault))
        {
            vcpu.Domain.Crash(vcpu, $"{bounce.What}: double fault, its handler at {to.Cs:x4}:{to.Eip:x8} can't be entered ({fault.Vector}, {fault.ErrorCode:x})");
        }
    }

    /// <summary>IOPL as the guest sees it in frames: real only where it asked for that (VMASST_TYPE_architectural_iopl).</summary>
    private static uint ShownIopl(Vcpu vcpu) => (vcpu.Domain.VmAssist & (1u << ArchitecturalIoplAssist)) != 0 ? vcpu.Iopl : 0;

    private static bool TryStackBase(Vcpu vcpu, ushort ss, out uint stackBase)
    {
        stackBase = 0;
        ref Segment present = ref vcpu.State->Segments[SegmentIndex.Ss];
        if (ss == present.Selector && present.Writable)
        {
            stackBase = present.Base;
            return true;
        }

        if ((ss & ~3) == 0 || !vcpu.Descriptors.TryRead(ss, out ulong descriptor))
        {
            return false;
        }

        Segment segment = Segment.FromDescriptor(ss, descriptor);
        stackBase = segment.Base;
        return segment.Present && segment.Readable;
    }
}
