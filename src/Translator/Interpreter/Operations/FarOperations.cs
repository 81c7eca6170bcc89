using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Operations;

/// <summary>
/// Far transfers at the same level and returns to an outer one. A transfer through a gate to an inner level raises #GP(selector),
/// where a hypervisor that offers such gates carries it out.
/// </summary>
internal static unsafe class FarOperations
{
    /// <summary>JMP far.</summary>
    public static bool Jmp(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!TryTarget(interpreter, cpu, in d, out ushort selector, out uint offset, out int size))
        {
            return false;
        }

        if (interpreter.SystemUnit is { } system)
        {
            return system.Transfers.Jump(cpu, selector, offset, d.NextEip);
        }

        if (!TryLoadTarget(interpreter, cpu, selector, ref offset, ref size, out Segment code))
        {
            return false;
        }

        return TryEnter(cpu, code, offset);
    }

    /// <summary>CALL far.</summary>
    public static bool Call(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!TryTarget(interpreter, cpu, in d, out ushort selector, out uint offset, out int size))
        {
            return false;
        }

        if (interpreter.SystemUnit is { } system)
        {
            return system.Transfers.Call(cpu, selector, offset, size, d.NextEip);
        }

        if (!TryLoadTarget(interpreter, cpu, selector, ref offset, ref size, out Segment code))
        {
            return false;
        }

        // CS goes first, and stays in memory where the push of EIP then faults.
        byte* stack = interpreter.OpenStack(cpu, in d, Interpreter.StackOffset(cpu, in d, (uint)-size), size, MemoryAccess.Write);
        if (stack == null)
        {
            return false;
        }

        Interpreter.Store(stack, size, cpu->Segments[SegmentIndex.Cs].Selector);
        interpreter.Commit(cpu);
        stack = interpreter.OpenStack(cpu, in d, Interpreter.StackOffset(cpu, in d, (uint)(-2 * size)), size, MemoryAccess.Write);
        if (stack == null)
        {
            return false;
        }

        Interpreter.Store(stack, size, d.NextEip);
        interpreter.Commit(cpu);
        if (!TryEnter(cpu, code, offset))
        {
            return false;
        }

        Interpreter.MoveStack(cpu, in d, (uint)(-2 * size));
        return true;
    }

    /// <summary>RET far, to the same or an outer level.</summary>
    public static bool Retf(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        int size = d.Size;
        uint release = d.Immediate & 0xFFFF;
        if (interpreter.SystemUnit is { } system)
        {
            return system.Returns.Far(cpu, size, release);
        }

        byte* stack = OpenFrame(interpreter, cpu, in d, 2);
        if (stack == null)
        {
            return false;
        }

        uint eip = Interpreter.Load(stack, size);
        ushort selector = (ushort)Interpreter.Load(stack + size, size);
        return Return(interpreter, cpu, in d, selector, eip, 2, release);
    }

    /// <summary>IRET, to the same or an outer level. With NT set it would be a task switch: #GP(0), as below a 64-bit hypervisor.</summary>
    public static bool Iret(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        int size = d.Size;
        if (interpreter.SystemUnit is { } system)
        {
            interpreter.LoadedFlags = true;
            return system.Returns.Interrupt(cpu, size, d.NextEip);
        }

        if ((cpu->Eflags & Flags.Nt) != 0)
        {
            return Interpreter.GeneralProtection(cpu);
        }

        byte* stack = OpenFrame(interpreter, cpu, in d, 3);
        if (stack == null)
        {
            return false;
        }

        uint eip = Interpreter.Load(stack, size);
        ushort selector = (ushort)Interpreter.Load(stack + size, size);
        uint eflags = Interpreter.Load(stack + (2 * size), size);
        if (cpu->Cpl == 0 && (eflags & Flags.Vm) != 0)
        {
            return Interpreter.GeneralProtection(cpu); // no virtual-8086 mode
        }

        uint mask = FlagOperations.ChangeableMask(cpu, size);
        if (size == 4)
        {
            mask |= Flags.Rf;
        }

        if (!Return(interpreter, cpu, in d, selector, eip, 3, 0))
        {
            return false;
        }

        cpu->FlagOp = (uint)FlagOperation.Materialised;
        cpu->Eflags = (cpu->Eflags & ~mask) | (eflags & mask) | Flags.Fixed;
        interpreter.LoadedFlags = true;
        FlagOperations.InterruptsAllowed(cpu);
        cpu->RefreshMode();
        return true;
    }

    // The last word of a frame is read first: where the whole frame is absent, its is the address of the fault.
    private static byte* OpenFrame(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, int words, uint above = 0)
    {
        int size = d.Size;
        byte* last = interpreter.OpenStack(cpu, in d, Interpreter.StackOffset(cpu, in d, above + (uint)((words - 1) * size)), size, MemoryAccess.Read);
        return last == null ? null : interpreter.OpenStack(cpu, in d, Interpreter.StackOffset(cpu, in d, above), words * size, MemoryAccess.Read);
    }

    // Loads CS:EIP, and SS:ESP where the level changes, from a frame of `words` words that is already read.
    private static bool Return(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, ushort selector, uint eip, int words, uint release)
    {
        int size = d.Size;
        int level = selector & 3;

        // A selector of another level makes the processor read the outer stack before it looks at the selector any further.
        byte* stack = null;
        if (level != cpu->Cpl)
        {
            stack = OpenFrame(interpreter, cpu, in d, 2, (uint)(words * size) + release);
            if (stack == null)
            {
                return false;
            }
        }

        if ((selector & 0xFFFC) == 0)
        {
            return Interpreter.GeneralProtection(cpu);
        }

        if (level < cpu->Cpl)
        {
            return Interpreter.GeneralProtection(cpu, selector & 0xFFFCu);
        }

        if (!SegmentLoader.TryLoadCode(interpreter.Platform, cpu, selector, level, out Segment code))
        {
            return false;
        }

        if (eip > code.High)
        {
            return Interpreter.GeneralProtection(cpu);
        }

        if (level == cpu->Cpl)
        {
            Interpreter.MoveStack(cpu, in d, (uint)(words * size) + release);
            Enter(cpu, code, eip);
            return true;
        }

        uint esp = Interpreter.Load(stack, size);
        var stackSelector = (ushort)Interpreter.Load(stack + size, size);
        if (!SegmentLoader.TryLoad(interpreter.Platform, cpu, SegmentIndex.Ss, stackSelector, level, out Segment stackSegment))
        {
            return false;
        }

        cpu->Segments[SegmentIndex.Ss] = stackSegment;
        cpu->Cpl = level;

        // A 16-bit stack keeps the upper half of ESP, on every processor seen.
        Interpreter.Store((byte*)(cpu->Gpr + (int)Gpr.Esp), stackSegment.Is32Bit ? 4 : 2, esp + release);
        SegmentLoader.DropInnerSegments(cpu);
        Enter(cpu, code, eip);
        return true;
    }

    // Whether the target lies inside its segment is looked at last, after the pushes of a call (SDM vol. 2, CALL, operation).
    private static bool TryEnter(CpuState* cpu, in Segment code, uint eip)
    {
        if (eip > code.High)
        {
            return Interpreter.GeneralProtection(cpu);
        }

        Enter(cpu, code, eip);
        return true;
    }

    private static void Enter(CpuState* cpu, in Segment code, uint eip)
    {
        cpu->Segments[SegmentIndex.Cs] = code;
        cpu->Eip = eip;
        cpu->RefreshMode();
    }

    private static bool TryTarget(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, out ushort selector, out uint offset, out int size)
    {
        size = d.Size;
        if (d.Kind0 == OperandKind.Immediate)
        {
            (selector, offset) = ((ushort)d.Extra, d.Immediate);
            return true;
        }

        return interpreter.TryFarPointer(cpu, in d, out offset, out selector);
    }

    // The code segment of a far JMP or CALL, straight or through a call gate, at the present level.
    private static bool TryLoadTarget(Interpreter interpreter, CpuState* cpu, ushort selector, ref uint offset, ref int size, out Segment code)
    {
        code = default;
        uint error = selector & 0xFFFCu;
        if (error == 0)
        {
            return Interpreter.GeneralProtection(cpu);
        }

        if (!interpreter.Platform.TryReadDescriptor(cpu, selector, out ulong descriptor))
        {
            return Interpreter.GeneralProtection(cpu, error);
        }

        var gate = Segment.FromDescriptor(selector, descriptor);
        if ((gate.Attributes & 0x10) == 0)
        {
            bool gate32 = gate.Type == 0xC;
            if ((!gate32 && gate.Type != 4) || gate.Dpl < Math.Max(cpu->Cpl, selector & 3))
            {
                return Interpreter.GeneralProtection(cpu, error); // task switches are not made
            }

            if (!gate.Present)
            {
                return Interpreter.Raise(cpu, Vector.SegmentNotPresent, error);
            }

            selector = (ushort)(descriptor >> 16);
            size = gate32 ? 4 : 2;
            offset = (uint)(descriptor & 0xFFFF) | (gate32 ? (uint)(descriptor >> 32) & 0xFFFF0000 : 0);
            selector = (ushort)(selector & 0xFFFC);
            if (interpreter.Platform.TryReadDescriptor(cpu, selector, out ulong target)
                && Segment.FromDescriptor(selector, target) is { IsCode: true } inner && (inner.Attributes & 4) == 0 && inner.Dpl < cpu->Cpl)
            {
                return Interpreter.GeneralProtection(cpu, error);
            }
        }
        else if ((selector & 3) > cpu->Cpl && (gate.Attributes & 4) == 0)
        {
            return Interpreter.GeneralProtection(cpu, error);
        }

        return SegmentLoader.TryLoadCode(interpreter.Platform, cpu, selector, cpu->Cpl, out code);
    }
}
