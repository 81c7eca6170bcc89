using Dbt.Translator.State;
using Dbt.Xen.Abi;
using Dbt.Xen.Memory;
using Dbt.Xen.Processor;

namespace Dbt.Xen;

/// <summary>Giving the processor the state it starts with.</summary>
public sealed unsafe partial class Vcpu
{
    private FirstEntry? _firstEntry;

    /// <summary>
    /// The state of a domain's first instruction: flat ring-1 segments, ESI at start_info, upcalls masked. The base pointer has been
    /// installed by <see cref="DomainMemory.InstallInitialTables"/>.
    /// </summary>
    /// <param name="eip">Entry point.</param>
    /// <param name="esp">Top of the initial stack; also the kernel stack until stack_switch.</param>
    /// <param name="esi">Linear address of start_info.</param>
    public void SetStartState(uint eip, uint esp, uint esi)
    {
        StartOfDay.ResetProcessor(State);
        State->Eip = eip;
        State->Gpr[(int)Gpr.Esp] = esp;
        State->Gpr[(int)Gpr.Esi] = esi;
        KernelSs = Layout.FlatRing1Ds;
        KernelSp = esp;
        IsInitialised = true;
        _down = false;
    }

    /// <summary>
    /// The state of a PVH domain's first instruction: flat ring-0 segments, no paging, EBX at hvm_start_info, a TSS of base 0 and limit 67h.
    /// </summary>
    /// <param name="entry">Guest-physical entry point.</param>
    /// <param name="startInfo">Guest-physical address of the start info.</param>
    internal void SetNativeStartState(uint entry, uint startInfo)
    {
        Hvm!.Reset();
        State->Tr = Segment.FromDescriptor(0, 0x0000_8B00_0000_0067);
        State->Eip = entry;
        State->Gpr[(int)Gpr.Ebx] = startInfo;
        IsInitialised = true;
        _down = false;
    }

    /// <summary>
    /// Gives an uninitialised processor a state (VCPUOP_initialise). On an error nothing has changed that the guest could see.
    /// </summary>
    /// <returns>0; -EINVAL for an LDT, GDT or base pointer that isn't valid.</returns>
    public int LoadContext(in VcpuGuestContext context)
    {
        if ((context.LdtBase & 0xFFF) != 0 || context.LdtBase >= Layout.HypervisorStart || context.LdtEntries > DescriptorTables.MaxLdtEntries
            || context.GdtEntries > Layout.FirstReservedGdtEntry)
        {
            return -Errno.EINVAL;
        }

        Span<uint> frames = stackalloc uint[(int)((context.GdtEntries + 511) / 512)];
        for (int i = 0; i < frames.Length; i++)
        {
            frames[i] = context.GdtFrames[i];
        }

        int error = Descriptors.SetGdt(frames, context.GdtEntries);
        if (error != 0)
        {
            return error;
        }

        error = Domain.Memory.SwitchBase(this, ControlRegisters.FrameOfCr3(context.ControlRegisters[3]));
        if (error == 0)
        {
            Descriptors.SetLdt(context.LdtEntries == 0 ? 0 : context.LdtBase, context.LdtEntries);
        }
        else
        {
            Descriptors.DropGdt();
            return error;
        }

        LoadRegisters(context);
        LoadEntryPoints(context);
        IsInitialised = true;
        return 0;
    }

    private void LoadRegisters(in VcpuGuestContext context)
    {
        ref readonly GuestRegisters from = ref context.Registers;
        StartOfDay.ResetProcessor(State);
        var start = new ReturnPoint(Selectors.ForGuest(from.Cs), from.Eip, from.Eflags | Flags.Fixed, Selectors.ForGuest((ushort)from.Ss), from.Esp);
        _firstEntry = new FirstEntry(start, new DataSelectors((ushort)from.Ds, (ushort)from.Es, (ushort)from.Fs, (ushort)from.Gs));
        uint* registers = State->Gpr;
        registers[(int)Gpr.Eax] = from.Eax;
        registers[(int)Gpr.Ebx] = from.Ebx;
        registers[(int)Gpr.Ecx] = from.Ecx;
        registers[(int)Gpr.Edx] = from.Edx;
        registers[(int)Gpr.Esi] = from.Esi;
        registers[(int)Gpr.Edi] = from.Edi;
        registers[(int)Gpr.Ebp] = from.Ebp;
        Iopl = from.Eflags & Flags.Iopl;
        if ((context.Flags & VcpuGuestContext.FpuValid) != 0)
        {
            fixed (byte* fpu = context.Fpu)
            {
                Buffer.MemoryCopy(fpu, &State->Fx, 512, 512);
            }

            // A reserved bit in MXCSR would fault in FXRSTOR; nothing here may hold one.
            *(uint*)((byte*)&State->Fx + 24) &= 0xFFFF;
        }

        State->Cr4 = (State->Cr4 & ~0xCu) | (context.ControlRegisters[4] & 0xC);
        ControlRegisters.SetTaskSwitched(this, (context.ControlRegisters[0] & 8) != 0);
        State->RefreshMode();
    }

    private void LoadEntryPoints(in VcpuGuestContext context)
    {
        for (int i = 0; i < TrapTable.Vectors; i++)
        {
            uint first = context.Traps[i * 2];
            Traps[i] = new TrapEntry((byte)(first >> 8), (ushort)(first >> 16), context.Traps[(i * 2) + 1]);
        }

        KernelSs = Selectors.ForGuest((ushort)context.KernelSs);
        KernelSp = context.KernelSp;
        Callbacks.Event = (Selectors.ForGuest((ushort)context.EventCallbackCs), context.EventCallbackEip);
        Callbacks.Failsafe = (Selectors.ForGuest((ushort)context.FailsafeCallbackCs), context.FailsafeCallbackEip);
        Callbacks.FailsafeMasksEvents = (context.Flags & VcpuGuestContext.FailsafeMasksEvents) != 0;
        for (int i = 0; i < 8; i++)
        {
            if (i is not (4 or 5))
            {
                // What may not be set stays as after a reset.
                _ = DebugRegisters.Write(this, i, context.DebugRegisters[i]);
            }
        }
    }
}
