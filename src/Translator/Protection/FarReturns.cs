using Dbt.Translator.Interpretation.Operations;
using Dbt.Translator.State;

namespace Dbt.Translator.Protection;

/// <summary>RETF and IRET of every kind (SDM vol. 2, RET and IRET).</summary>
internal sealed unsafe class FarReturns(SystemUnit system)
{
    /// <summary>RETF, releasing bytes of parameters.</summary>
    public bool Far(CpuState* cpu, int size, uint release)
    {
        StackFrame frame = StackFrame.Of(cpu);
        if (!frame.TryPop(system, cpu, size, out uint eip) || !frame.TryPop(system, cpu, size, out uint selector))
        {
            return false;
        }

        frame.Skip(release);
        if ((cpu->Mode & CpuMode.Virtual8086) != 0)
        {
            if (!Virtual8086.Go(cpu, (ushort)selector, eip))
            {
                return false;
            }

            cpu->Gpr[(int)Gpr.Esp] = frame.Esp;
            return true;
        }

        return Return(cpu, size, frame, (ushort)selector, eip, release);
    }

    /// <summary>IRET.</summary>
    public bool Interrupt(CpuState* cpu, int size, uint nextEip)
    {
        if ((cpu->Mode & CpuMode.Virtual8086) != 0)
        {
            return SystemUnit.IsSensitive(cpu) ? SystemUnit.Raise(cpu, Vector.GeneralProtection) : Within8086(cpu, size);
        }

        if ((cpu->Eflags & Flags.Nt) != 0)
        {
            return ToPreviousTask(cpu, nextEip);
        }

        StackFrame frame = StackFrame.Of(cpu);
        if (!frame.TryPop(system, cpu, size, out uint eip)
            || !frame.TryPop(system, cpu, size, out uint selector)
            || !frame.TryPop(system, cpu, size, out uint flags))
        {
            return false;
        }

        if (size == 4 && cpu->Cpl == 0 && (flags & Flags.Vm) != 0)
        {
            return To8086(cpu, frame, eip, (ushort)selector, flags);
        }

        // By the level that is left.
        uint mask = FlagOperations.ChangeableMask(cpu, size);
        if (size == 4)
        {
            mask |= Flags.Rf | (cpu->Cpl == 0 ? Flags.Vif | Flags.Vip : 0);
        }

        if (!Return(cpu, size, frame, (ushort)selector, eip, 0))
        {
            return false;
        }

        SetFlags(cpu, flags, mask);
        return true;
    }

    private bool Return(CpuState* cpu, int size, StackFrame frame, ushort selector, uint eip, uint release)
    {
        int level = selector & 3;
        uint error = selector & 0xFFFCu;
        if (!SegmentChecks.TryCode(system, cpu, selector, 0, out Segment code))
        {
            return false;
        }

        bool conforming = SegmentChecks.IsConforming(in code);
        if (level < cpu->Cpl || (conforming ? code.Dpl > level : code.Dpl != level))
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection, error);
        }

        if (!code.Present)
        {
            return SystemUnit.Raise(cpu, Vector.SegmentNotPresent, error);
        }

        bool outward = level != cpu->Cpl;
        Segment stack = default;
        uint esp = frame.Esp;
        if (outward)
        {
            if (!frame.TryPop(system, cpu, size, out esp)
                || !frame.TryPop(system, cpu, size, out uint stackSelector)
                || !SegmentChecks.TryStack(system, cpu, (ushort)stackSelector, level, Vector.GeneralProtection, 0, out stack))
            {
                return false;
            }

            // A 16-bit stack keeps the upper half of ESP, on every processor seen.
            uint wanted = esp + release;
            esp = stack.Is32Bit ? wanted : (cpu->Gpr[(int)Gpr.Esp] & 0xFFFF0000) | (wanted & 0xFFFF);
        }

        if (eip > code.High)
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection);
        }

        if (!system.Descriptors.TrySetAccessed(cpu, ref code))
        {
            return false;
        }

        if (outward)
        {
            cpu->Segments[SegmentIndex.Ss] = stack;
            cpu->Cpl = level;
            SegmentLoader.DropInnerSegments(cpu);
        }

        cpu->Gpr[(int)Gpr.Esp] = esp;
        cpu->Segments[SegmentIndex.Cs] = code;
        cpu->Eip = eip;
        cpu->RefreshMode();
        return true;
    }

    private bool ToPreviousTask(CpuState* cpu, uint nextEip)
    {
        if (!system.Memory.TryRead(cpu, cpu->Tr.Base, 2, out uint link))
        {
            return false;
        }

        if (!system.Tasks.TryFindBusy(cpu, (ushort)link, out Segment task)
            || !system.Tasks.Switch(cpu, task, TaskSwitchReason.Return, nextEip, LazyFlags.Read(cpu), 0))
        {
            return false;
        }

        system.Interrupts.NmiBlocked = false;
        return cpu->Eip <= cpu->Segments[SegmentIndex.Cs].High || SystemUnit.Raise(cpu, Vector.GeneralProtection);
    }

    private bool Within8086(CpuState* cpu, int size)
    {
        StackFrame frame = StackFrame.Of(cpu);
        if (!frame.TryPop(system, cpu, size, out uint eip)
            || !frame.TryPop(system, cpu, size, out uint selector)
            || !frame.TryPop(system, cpu, size, out uint flags)
            || !Virtual8086.Go(cpu, (ushort)selector, eip))
        {
            return false;
        }

        cpu->Gpr[(int)Gpr.Esp] = frame.Esp;
        SetFlags(cpu, flags, FlagOperations.ChangeableMask(cpu, size) | (size == 4 ? Flags.Rf : 0));
        return true;
    }

    private bool To8086(CpuState* cpu, StackFrame frame, uint eip, ushort selector, uint flags)
    {
        Span<uint> rest = stackalloc uint[6];
        for (int i = 0; i < rest.Length; i++)
        {
            if (!frame.TryPop(system, cpu, 4, out rest[i]))
            {
                return false;
            }
        }

        if (eip > 0xFFFF)
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection);
        }

        cpu->Gpr[(int)Gpr.Esp] = rest[0];
        cpu->Segments[SegmentIndex.Cs] = Virtual8086.CodeOf(selector);
        cpu->Segments[SegmentIndex.Ss] = Virtual8086.SegmentOf((ushort)rest[1]);
        cpu->Segments[SegmentIndex.Es] = Virtual8086.SegmentOf((ushort)rest[2]);
        cpu->Segments[SegmentIndex.Ds] = Virtual8086.SegmentOf((ushort)rest[3]);
        cpu->Segments[SegmentIndex.Fs] = Virtual8086.SegmentOf((ushort)rest[4]);
        cpu->Segments[SegmentIndex.Gs] = Virtual8086.SegmentOf((ushort)rest[5]);
        cpu->Cpl = 3;
        cpu->Eip = eip;
        SetFlags(cpu, flags, 0x003FFFD5 & ~Flags.Fixed & ~0x8028u);
        return true;
    }

    private void SetFlags(CpuState* cpu, uint flags, uint mask)
    {
        LazyFlags.Materialise(cpu);
        cpu->Eflags = (cpu->Eflags & ~mask) | (flags & mask) | Flags.Fixed;
        system.Interrupts.NmiBlocked = false;
        FlagOperations.InterruptsAllowed(cpu);
        cpu->RefreshMode();
    }
}
