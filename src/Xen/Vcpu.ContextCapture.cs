using Dbt.Translator.State;
using Dbt.Xen.Processor;

namespace Dbt.Xen;

/// <content>What a processor holds, for who looks at it from outside (XEN_DOMCTL_getvcpucontext).</content>
public sealed unsafe partial class Vcpu
{
    /// <summary>
    /// The processor's context. It is held, or its thread has ended. Of an auto-translated domain's there are registers, and none of what only a paravirtual guest
    /// tells the hypervisor.
    /// </summary>
    internal VcpuGuestContext SaveContext()
    {
        var context = new VcpuGuestContext
        {
            Flags = VcpuGuestContext.FpuValid | (IsUp ? VcpuGuestContext.Online : 0) | (State->Cpl < 3 ? VcpuGuestContext.InKernel : 0),
            Registers = SaveRegisters(),
            VmAssist = Domain.VmAssist,
        };
        Buffer.MemoryCopy(&State->Fx, context.Fpu, sizeof(FxArea), sizeof(FxArea));
        context.ControlRegisters[0] = State->Cr0;
        context.ControlRegisters[2] = State->Cr2;
        context.ControlRegisters[3] = Hvm is null ? ControlRegisters.Cr3OfFrame(BaseMfn) : State->Cr3;
        context.ControlRegisters[4] = State->Cr4;
        for (int i = 0; i < 8; i++)
        {
            context.DebugRegisters[i] = Hvm is null && DebugRegisters.TryRead(this, i, out uint value) ? value : State->Dr[i];
        }

        if (Hvm is null)
        {
            SaveEntryPoints(ref context);
        }

        return context;
    }

    private GuestRegisters SaveRegisters()
    {
        uint* general = State->Gpr;
        var registers = new GuestRegisters
        {
            Eax = general[(int)Gpr.Eax],
            Ebx = general[(int)Gpr.Ebx],
            Ecx = general[(int)Gpr.Ecx],
            Edx = general[(int)Gpr.Edx],
            Esi = general[(int)Gpr.Esi],
            Edi = general[(int)Gpr.Edi],
            Ebp = general[(int)Gpr.Ebp],
        };

        // One that hasn't run is where it will be.
        if (_thread is null && _firstEntry is { To: var start, Data: var data })
        {
            (registers.Cs, registers.Eip, registers.Ss, registers.Esp) = (start.Cs, start.Eip, start.Ss, start.Esp);
            registers.Eflags = start.Eflags | Iopl;
            (registers.Ds, registers.Es, registers.Fs, registers.Gs) = (data.Ds, data.Es, data.Fs, data.Gs);
            return registers;
        }

        registers.Eip = State->Eip;
        registers.Esp = general[(int)Gpr.Esp];
        registers.Eflags = LazyFlags.Read(State) | (Hvm is null ? Iopl : 0);
        registers.Cs = State->Segments[SegmentIndex.Cs].Selector;
        registers.Ss = State->Segments[SegmentIndex.Ss].Selector;
        registers.Ds = State->Segments[SegmentIndex.Ds].Selector;
        registers.Es = State->Segments[SegmentIndex.Es].Selector;
        registers.Fs = State->Segments[SegmentIndex.Fs].Selector;
        registers.Gs = State->Segments[SegmentIndex.Gs].Selector;
        registers.SavedUpcallMask = Hvm is null ? Info[Abi.SharedInfoLayout.UpcallMask] : (byte)0;
        return registers;
    }

    private void SaveEntryPoints(ref VcpuGuestContext context)
    {
        for (int i = 0; i < TrapTable.Vectors; i++)
        {
            TrapEntry entry = Traps[i];
            context.Traps[i * 2] = (byte)i | ((uint)entry.Flags << 8) | ((uint)entry.Selector << 16);
            context.Traps[(i * 2) + 1] = entry.Address;
        }

        (context.LdtBase, context.LdtEntries, context.GdtEntries) = (Descriptors.LdtBase, Descriptors.LdtEntries, Descriptors.GdtEntries);
        for (int i = 0; i < Descriptors.GdtFrames.Length; i++)
        {
            context.GdtFrames[i] = Descriptors.GdtFrames[i];
        }

        (context.KernelSs, context.KernelSp) = (KernelSs, KernelSp);
        (context.EventCallbackCs, context.EventCallbackEip) = Callbacks.Event;
        (context.FailsafeCallbackCs, context.FailsafeCallbackEip) = Callbacks.Failsafe;
        context.Flags |= Callbacks.FailsafeMasksEvents ? VcpuGuestContext.FailsafeMasksEvents : 0;
    }
}
