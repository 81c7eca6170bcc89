using Dbt.Translator.State;

namespace Dbt.Translator.Protection;

/// <summary>The way through the IDT: interrupt, trap and task gates, with a change of stack where the level changes (SDM vol. 3, 6.12).</summary>
internal sealed unsafe class InterruptGates(SystemUnit system)
{
    private const int TaskGate = 5;

    /// <summary>Enters a handler.</summary>
    /// <returns>False for a fault on the way; registers are then as before.</returns>
    public bool TryEnter(CpuState* cpu, in Entry entry)
    {
        if (cpu->RealMode != 0)
        {
            return EnterReal(cpu, in entry);
        }

        uint error = ((uint)entry.Vector << 3) | 2 | entry.External;
        uint offset = (uint)entry.Vector * 8;
        if (offset + 7 > cpu->IdtrLimit)
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection, error);
        }

        if (!system.Memory.TryRead64(cpu, cpu->IdtrBase + offset, out ulong gate))
        {
            return false;
        }

        uint high = (uint)(gate >> 32);
        int type = (int)(high >> 8) & 0x1F;
        if (type is not (TaskGate or 6 or 7 or 0xE or 0xF))
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection, error);
        }

        if (entry.IsSoftware && ((high >> 13) & 3) < cpu->Cpl)
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection, error);
        }

        if ((high & 0x8000) == 0)
        {
            return SystemUnit.Raise(cpu, Vector.SegmentNotPresent, error);
        }

        var selector = (ushort)(gate >> 16);
        if (type == TaskGate)
        {
            return EnterTask(cpu, selector, in entry);
        }

        uint target = (uint)(gate & 0xFFFF) | (type >= 8 ? high & 0xFFFF0000 : 0);
        return EnterCode(cpu, selector, target, type >= 8 ? 4 : 2, (type & 1) == 0, in entry);
    }

    /// <summary>Real mode: four bytes a vector, segment over offset; flags, CS and IP are pushed as words (SDM vol. 3, 20.1.4).</summary>
    private bool EnterReal(CpuState* cpu, in Entry entry)
    {
        uint offset = (uint)entry.Vector * 4;
        if (offset + 3 > cpu->IdtrLimit)
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection);
        }

        StackFrame frame = StackFrame.Of(cpu);
        if (!system.Memory.TryRead(cpu, cpu->IdtrBase + offset, 4, out uint target)
            || !frame.TryPush(system, cpu, 2, entry.Eflags, 0)
            || !frame.TryPush(system, cpu, 2, cpu->Segments[SegmentIndex.Cs].Selector, 0)
            || !frame.TryPush(system, cpu, 2, entry.Eip, 0))
        {
            return false;
        }

        cpu->Gpr[(int)Gpr.Esp] = frame.Esp;
        cpu->Eflags &= ~(Flags.If | Flags.Tf | Flags.Ac | Flags.Rf);
        cpu->InterruptShadow = 0;
        return Virtual8086.Go(cpu, (ushort)(target >> 16), target & 0xFFFF);
    }

    private bool EnterCode(CpuState* cpu, ushort selector, uint target, int size, bool masks, in Entry entry)
    {
        if (!SegmentChecks.TryCode(system, cpu, selector, entry.External, out Segment code))
        {
            return false;
        }

        uint error = (selector & 0xFFFCu) | entry.External;
        bool virtual8086 = (cpu->Eflags & Flags.Vm) != 0;
        bool inner = !SegmentChecks.IsConforming(in code) && code.Dpl < cpu->Cpl;
        if (code.Dpl > cpu->Cpl || (virtual8086 && (!inner || code.Dpl != 0)))
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection, error);
        }

        if (!code.Present)
        {
            return SystemUnit.Raise(cpu, Vector.SegmentNotPresent, error);
        }

        int level = inner ? code.Dpl : cpu->Cpl;
        StackFrame frame = StackFrame.Of(cpu);
        if (inner && !system.Tasks.TryInnerStack(cpu, level, entry.External, out frame))
        {
            return false;
        }

        if (target > code.High)
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection, entry.External);
        }

        // A fault in pushing to the new stack names it; in the old one it is the processor's alone.
        uint stackError = (inner ? frame.Stack.Selector & 0xFFFCu : 0) | entry.External;
        if (!system.Descriptors.TrySetAccessed(cpu, ref code) || !TryPush(cpu, ref frame, size, inner, stackError, in entry))
        {
            return false;
        }

        if (virtual8086)
        {
            foreach (SegmentIndex index in (ReadOnlySpan<SegmentIndex>)[SegmentIndex.Gs, SegmentIndex.Fs, SegmentIndex.Ds, SegmentIndex.Es])
            {
                cpu->Segments[index] = Segment.Null(0);
            }
        }

        if (inner)
        {
            cpu->Segments[SegmentIndex.Ss] = frame.Stack;
        }

        code.Selector = (ushort)((selector & 0xFFFC) | level);
        cpu->Segments[SegmentIndex.Cs] = code;
        cpu->Cpl = level;
        cpu->Gpr[(int)Gpr.Esp] = frame.Esp;
        cpu->Eip = target;
        cpu->Eflags &= ~(Flags.Tf | Flags.Nt | Flags.Rf | Flags.Vm | (masks ? Flags.If : 0));
        cpu->InterruptShadow = 0;
        cpu->RefreshMode();
        return true;
    }

    private bool TryPush(CpuState* cpu, ref StackFrame frame, int size, bool inner, uint error, in Entry entry)
    {
        if ((cpu->Eflags & Flags.Vm) != 0)
        {
            foreach (SegmentIndex index in (ReadOnlySpan<SegmentIndex>)[SegmentIndex.Gs, SegmentIndex.Fs, SegmentIndex.Ds, SegmentIndex.Es])
            {
                if (!frame.TryPush(system, cpu, size, cpu->Segments[index].Selector, error))
                {
                    return false;
                }
            }
        }

        if (inner && (!frame.TryPush(system, cpu, size, cpu->Segments[SegmentIndex.Ss].Selector, error)
            || !frame.TryPush(system, cpu, size, cpu->Gpr[(int)Gpr.Esp], error)))
        {
            return false;
        }

        return frame.TryPush(system, cpu, size, entry.Eflags, error)
            && frame.TryPush(system, cpu, size, cpu->Segments[SegmentIndex.Cs].Selector, error)
            && frame.TryPush(system, cpu, size, entry.Eip, error)
            && (entry.ErrorCode is not { } code || frame.TryPush(system, cpu, size, code, error));
    }

    private bool EnterTask(CpuState* cpu, ushort selector, in Entry entry)
    {
        if (!system.Tasks.TryFindAvailable(cpu, selector, entry.External, out Segment task)
            || !system.Tasks.Switch(cpu, task, TaskSwitchReason.Nested, entry.Eip, entry.Eflags, entry.External))
        {
            return false;
        }

        if (entry.ErrorCode is { } code)
        {
            StackFrame frame = StackFrame.Of(cpu);
            if (!frame.TryPush(system, cpu, TaskSwitch.Is32Bit(cpu->Tr) ? 4 : 2, code, entry.External))
            {
                return false;
            }

            cpu->Gpr[(int)Gpr.Esp] = frame.Esp;
        }

        return true;
    }
}
