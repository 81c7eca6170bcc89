using Dbt.Translator.State;

namespace Dbt.Translator.Protection;

/// <summary>Far JMP and CALL: straight, through call gates, and to tasks (SDM vol. 3, 5.8 and 7.3; vol. 2, CALL and JMP).</summary>
internal sealed unsafe class FarTransfers(SystemUnit system)
{
    private const int Gate16 = 4, TaskGate = 5, Gate32 = 0xC;

    /// <summary>JMP far.</summary>
    public bool Jump(CpuState* cpu, ushort selector, uint offset, uint nextEip) => Go(cpu, selector, offset, 0, nextEip, false);

    /// <summary>CALL far, pushing words of <paramref name="size"/> bytes where no gate says otherwise.</summary>
    public bool Call(CpuState* cpu, ushort selector, uint offset, int size, uint nextEip) => Go(cpu, selector, offset, size, nextEip, true);

    private bool Go(CpuState* cpu, ushort selector, uint offset, int size, uint nextEip, bool isCall)
    {
        if ((cpu->Mode & CpuMode.Virtual8086) != 0)
        {
            return (!isCall || TryPushReturn(cpu, StackFrame.Of(cpu), size, nextEip, 0, out uint moved) && SetEsp(cpu, moved))
                && Virtual8086.Go(cpu, selector, offset);
        }

        uint error = selector & 0xFFFCu;
        if (error == 0)
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection);
        }

        if (!system.Descriptors.TryRead(cpu, selector, Vector.GeneralProtection, 0, out ulong descriptor))
        {
            return false;
        }

        var found = Segment.FromDescriptor(selector, descriptor);
        int privilege = Math.Max(cpu->Cpl, selector & 3);
        if (found.IsCode)
        {
            bool allowed = SegmentChecks.IsConforming(in found) ? found.Dpl <= cpu->Cpl : (selector & 3) <= cpu->Cpl && found.Dpl == cpu->Cpl;
            return allowed ? Enter(cpu, found, offset, size, nextEip, isCall) : SystemUnit.Raise(cpu, Vector.GeneralProtection, error);
        }

        switch (found.Attributes & 0x1F)
        {
            case TaskSwitch.Available16 or TaskSwitch.Available32 when found.Dpl >= privilege:
                return !found.Present ? SystemUnit.Raise(cpu, Vector.SegmentNotPresent, error) : SwitchTo(cpu, found, nextEip, isCall);
            case TaskGate when found.Dpl >= privilege:
                return !found.Present ? SystemUnit.Raise(cpu, Vector.SegmentNotPresent, error)
                    : system.Tasks.TryFindAvailable(cpu, (ushort)(descriptor >> 16), 0, out Segment task) && SwitchTo(cpu, task, nextEip, isCall);
            case Gate16 or Gate32 when found.Dpl >= privilege:
                return !found.Present ? SystemUnit.Raise(cpu, Vector.SegmentNotPresent, error) : ThroughGate(cpu, descriptor, nextEip, isCall);
            default:
                return SystemUnit.Raise(cpu, Vector.GeneralProtection, error);
        }
    }

    private bool SwitchTo(CpuState* cpu, in Segment task, uint nextEip, bool isCall) =>
        system.Tasks.Switch(cpu, task, isCall ? TaskSwitchReason.Nested : TaskSwitchReason.Jump, nextEip, LazyFlags.Read(cpu), 0)
        && LimitAllows(cpu);

    // The task has begun: a fault in its first fetch is its own.
    private static bool LimitAllows(CpuState* cpu) =>
        cpu->Eip <= cpu->Segments[SegmentIndex.Cs].High || SystemUnit.Raise(cpu, Vector.GeneralProtection);

    private bool ThroughGate(CpuState* cpu, ulong gate, uint nextEip, bool isCall)
    {
        bool wide = (gate & (8UL << 40)) != 0;
        uint offset = (uint)(gate & 0xFFFF) | (wide ? (uint)(gate >> 32) & 0xFFFF0000 : 0);
        var selector = (ushort)(gate >> 16);
        if (!SegmentChecks.TryCode(system, cpu, selector, 0, out Segment code))
        {
            return false;
        }

        bool conforming = SegmentChecks.IsConforming(in code);
        bool allowed = isCall || conforming ? code.Dpl <= cpu->Cpl : code.Dpl == cpu->Cpl;
        if (!allowed)
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection, selector & 0xFFFCu);
        }

        int size = wide ? 4 : 2;
        if (conforming || code.Dpl == cpu->Cpl)
        {
            return Enter(cpu, code, offset, size, nextEip, isCall);
        }

        return code.Present ? CallInner(cpu, code, offset, size, (int)(gate >> 32) & 0x1F, nextEip)
            : SystemUnit.Raise(cpu, Vector.SegmentNotPresent, selector & 0xFFFCu);
    }

    // At the present level.
    private bool Enter(CpuState* cpu, Segment code, uint offset, int size, uint nextEip, bool isCall)
    {
        if (!code.Present)
        {
            return SystemUnit.Raise(cpu, Vector.SegmentNotPresent, code.Selector & 0xFFFCu);
        }

        uint esp = cpu->Gpr[(int)Gpr.Esp];
        if (isCall && !TryPushReturn(cpu, StackFrame.Of(cpu), size, nextEip, 0, out esp))
        {
            return false;
        }

        if (offset > code.High)
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection);
        }

        if (!system.Descriptors.TrySetAccessed(cpu, ref code))
        {
            return false;
        }

        SetEsp(cpu, esp);
        Go(cpu, code, offset, cpu->Cpl);
        return true;
    }

    private bool CallInner(CpuState* cpu, Segment code, uint offset, int size, int parameters, uint nextEip)
    {
        int level = code.Dpl;
        if (!system.Tasks.TryInnerStack(cpu, level, 0, out StackFrame inner))
        {
            return false;
        }

        uint error = inner.Stack.Selector & 0xFFFCu;
        StackFrame outer = StackFrame.Of(cpu);
        Span<uint> copied = stackalloc uint[parameters];
        for (int i = 0; i < parameters; i++)
        {
            if (!outer.TryPop(system, cpu, size, out copied[i]))
            {
                return false;
            }
        }

        if (!inner.TryPush(system, cpu, size, cpu->Segments[SegmentIndex.Ss].Selector, error)
            || !inner.TryPush(system, cpu, size, cpu->Gpr[(int)Gpr.Esp], error))
        {
            return false;
        }

        for (int i = parameters - 1; i >= 0; i--)
        {
            if (!inner.TryPush(system, cpu, size, copied[i], error))
            {
                return false;
            }
        }

        if (!TryPushReturn(cpu, inner, size, nextEip, error, out uint esp))
        {
            return false;
        }

        if (offset > code.High)
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection);
        }

        if (!system.Descriptors.TrySetAccessed(cpu, ref code))
        {
            return false;
        }

        cpu->Segments[SegmentIndex.Ss] = inner.Stack;
        SetEsp(cpu, esp);
        Go(cpu, code, offset, level);
        return true;
    }

    private bool TryPushReturn(CpuState* cpu, StackFrame frame, int size, uint nextEip, uint error, out uint esp)
    {
        bool pushed = frame.TryPush(system, cpu, size, cpu->Segments[SegmentIndex.Cs].Selector, error)
            && frame.TryPush(system, cpu, size, nextEip, error);
        esp = frame.Esp;
        return pushed;
    }

    private static bool SetEsp(CpuState* cpu, uint esp)
    {
        cpu->Gpr[(int)Gpr.Esp] = esp;
        return true;
    }

    private static void Go(CpuState* cpu, Segment code, uint eip, int level)
    {
        code.Selector = (ushort)((code.Selector & 0xFFFC) | level);
        cpu->Segments[SegmentIndex.Cs] = code;
        cpu->Cpl = level;
        cpu->Eip = eip;
        cpu->RefreshMode();
    }
}
