using System.Runtime.CompilerServices;
using Dbt.Translator.Memory;
using Dbt.Translator.Protection;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Operations;

/// <summary>Near transfers, LOOP, and software interrupts. Every routine here sets EIP itself.</summary>
internal static unsafe class FlowOperations
{
    /// <summary>JMP near, direct or indirect.</summary>
    public static bool Jmp(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        interpreter.TryOperand0(cpu, in d, d.Size, out uint target) && Go(cpu, target);

    /// <summary>Jcc.</summary>
    public static bool Jcc(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        Branch(cpu, LazyFlags.Condition(cpu, d.Condition), in d);

    /// <summary>CALL near, direct or indirect.</summary>
    public static bool Call(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!interpreter.TryOperand0(cpu, in d, d.Size, out uint target))
        {
            return false;
        }

        // That the stack can be written is looked at before the target is compared with CS's limit; written it is afterwards.
        int size = d.Size;
        byte* stack = interpreter.OpenStack(cpu, in d, Interpreter.StackOffset(cpu, in d, (uint)-size), size, MemoryAccess.Write);
        if (stack == null)
        {
            return false;
        }

        if (target > cpu->Segments[SegmentIndex.Cs].High)
        {
            interpreter.AbandonWrite();
            return Interpreter.GeneralProtection(cpu);
        }

        Interpreter.Store(stack, size, d.NextEip);
        interpreter.Commit(cpu);
        Interpreter.MoveStack(cpu, in d, (uint)-size);
        cpu->Eip = target;
        return true;
    }

    /// <summary>RET near, with or without a count of bytes to release.</summary>
    public static bool Ret(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        int size = d.Size;
        byte* stack = interpreter.OpenStack(cpu, in d, Interpreter.StackOffset(cpu, in d), size, MemoryAccess.Read);
        if (stack == null)
        {
            return false;
        }

        uint target = Interpreter.Load(stack, size);
        if (!Go(cpu, target))
        {
            return false;
        }

        Interpreter.MoveStack(cpu, in d, (uint)size + d.Immediate);
        return true;
    }

    /// <summary>LOOP.</summary>
    public static bool Loop(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => CountDown(cpu, in d, true);

    /// <summary>LOOPE.</summary>
    public static bool Loope(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        CountDown(cpu, in d, (LazyFlags.Status(cpu) & Flags.Zf) != 0);

    /// <summary>LOOPNE.</summary>
    public static bool Loopne(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        CountDown(cpu, in d, (LazyFlags.Status(cpu) & Flags.Zf) == 0);

    /// <summary>JCXZ, JECXZ: ECX or CX by the address size.</summary>
    public static bool Jcxz(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        uint count = cpu->Gpr[(int)Gpr.Ecx];
        if ((d.Flags & DecodedFlags.Address16) != 0)
        {
            count &= 0xFFFF;
        }

        return Branch(cpu, count == 0, in d);
    }

    /// <summary>INT n.</summary>
    public static bool Int(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        SystemUnit.IsSensitive(cpu) ? Interpreter.GeneralProtection(cpu) : Interrupt(interpreter, cpu, in d, (int)d.Immediate & 0xFF);

    /// <summary>INT3.</summary>
    public static bool Int3(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => Interrupt(interpreter, cpu, in d, (int)Vector.Breakpoint);

    /// <summary>INT1: a debug trap, whatever the privilege of its gate (SDM, INT1).</summary>
    public static bool Int1(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        interpreter.Transferred = true;
        cpu->Eip = d.NextEip;
        cpu->Fault = new Fault { Vector = Vector.Debug };
        interpreter.Platform.DeliverFault(cpu);
        return true;
    }

    /// <summary>INTO.</summary>
    public static bool Into(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        (LazyFlags.Status(cpu) & Flags.Of) != 0 ? Interrupt(interpreter, cpu, in d, (int)Vector.Overflow) : Branch(cpu, false, in d);

    /// <summary>BOUND.</summary>
    public static bool Bound(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        int size = d.Size;
        byte* pointer = interpreter.Open(cpu, in d, size, MemoryAccess.Read);
        if (pointer == null)
        {
            return false;
        }

        int index = Interpreter.SignExtend(Interpreter.Load(Interpreter.Register(cpu, d.Register0), size), size);
        int low = Interpreter.SignExtend(Interpreter.Load(pointer, size), size);
        pointer = interpreter.OpenBehind(cpu, in d, size, size, MemoryAccess.Read);
        if (pointer == null)
        {
            return false;
        }

        int high = Interpreter.SignExtend(Interpreter.Load(pointer, size), size);
        return (index >= low && index <= high) || Interpreter.Raise(cpu, Vector.BoundRange);
    }

    /// <summary>UD0, UD1, UD2.</summary>
    public static bool Ud(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => Interpreter.Undefined(cpu);

    /// <summary>An instruction that this processor does not have: #UD, and the log names it.</summary>
    public static bool Missing(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        interpreter.Platform.ReportUnimplemented(cpu, interpreter.Kept(in d).Mnemonic.ToString());
        return Interpreter.Undefined(cpu);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Go(CpuState* cpu, uint target)
    {
        if (target > cpu->Segments[SegmentIndex.Cs].High)
        {
            return Interpreter.GeneralProtection(cpu);
        }

        cpu->Eip = target;
        return true;
    }

    // A branch that is not taken cannot fault: where the segment ends behind it, the next fetch does.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Branch(CpuState* cpu, bool taken, in DecodedInstruction d)
    {
        if (taken)
        {
            return Go(cpu, d.Immediate);
        }

        cpu->Eip = d.NextEip;
        return true;
    }

    private static bool CountDown(CpuState* cpu, in DecodedInstruction d, bool condition)
    {
        bool short16 = (d.Flags & DecodedFlags.Address16) != 0;
        uint count = cpu->Gpr[(int)Gpr.Ecx] - 1;
        uint seen = short16 ? count & 0xFFFF : count;
        if (!Branch(cpu, seen != 0 && condition, in d))
        {
            return false;
        }

        Interpreter.Store((byte*)(cpu->Gpr + (int)Gpr.Ecx), short16 ? 2 : 4, count);
        return true;
    }

    private static bool Interrupt(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, int vector)
    {
        interpreter.Transferred = true;
        interpreter.Platform.SoftwareInterrupt(cpu, vector, d.NextEip);
        return true;
    }
}
