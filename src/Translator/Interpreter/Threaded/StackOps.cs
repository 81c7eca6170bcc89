using System.Runtime.CompilerServices;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Threaded;

/// <summary>PUSH, POP and LEAVE of 32 bits on a flat stack.</summary>
internal static unsafe class StackOps
{
    /// <summary>Whether an instruction's stack accesses are those of a flat 32-bit stack.</summary>
    public static bool IsFlat(in DecodedInstruction d) => d.Size == 4 && (d.Flags & DecodedFlags.FlatStack) != 0;

    /// <summary>The routine of a PUSH.</summary>
    public static ThreadedRoutine PickPush(in DecodedInstruction d)
    {
        if (!IsFlat(in d))
        {
            return null;
        }

        switch (d.Kind0)
        {
            case OperandKind.Register:
                return &PushRegister;
            case OperandKind.Immediate:
                return &PushImmediate;
            case OperandKind.Memory when (d.Flags & DecodedFlags.Direct) != 0:
                return (d.Flags & DecodedFlags.FullAddress) != 0 ? &PushMemory<FullAddress> : &PushMemory<BaseAddress>;
            default:
                return null;
        }
    }

    /// <summary>The routine of a POP to a register.</summary>
    public static ThreadedRoutine PickPop(in DecodedInstruction d) => IsFlat(in d) && d.Kind0 == OperandKind.Register ? &PopRegister : null;

    /// <summary>The routine of a LEAVE.</summary>
    public static ThreadedRoutine PickLeave(in DecodedInstruction d) => IsFlat(in d) ? &Leave : null;

    [MethodImpl(Chain.Hot)]
    private static int PushRegister(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        uint top = cpu->Gpr[(int)Gpr.Esp] - 4;
        byte* stack = Addresses.Open(cpu, top, 4, MemoryAccess.Write);
        if (stack == null)
        {
            return GeneralOps.Plain(interpreter, cpu, op);
        }

        Interpreter.Store(stack, 4, *(uint*)Addresses.At(cpu, op->Register0));
        cpu->Gpr[(int)Gpr.Esp] = top;
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int PushImmediate(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        uint top = cpu->Gpr[(int)Gpr.Esp] - 4;
        byte* stack = Addresses.Open(cpu, top, 4, MemoryAccess.Write);
        if (stack == null)
        {
            return GeneralOps.Plain(interpreter, cpu, op);
        }

        Interpreter.Store(stack, 4, op->Immediate);
        cpu->Gpr[(int)Gpr.Esp] = top;
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int PushMemory<TAddress>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TAddress : struct, IAddress
    {
        uint top = cpu->Gpr[(int)Gpr.Esp] - 4;
        byte* memory = Addresses.Open<TAddress, Byte4>(cpu, op, MemoryAccess.Read);
        byte* stack = Addresses.Open(cpu, top, 4, MemoryAccess.Write);
        if (memory == null || stack == null)
        {
            return GeneralOps.Plain(interpreter, cpu, op);
        }

        Interpreter.Store(stack, 4, Interpreter.Load(memory, 4));
        cpu->Gpr[(int)Gpr.Esp] = top;
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int PopRegister(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        uint top = cpu->Gpr[(int)Gpr.Esp];
        byte* stack = Addresses.Open(cpu, top, 4, MemoryAccess.Read);
        if (stack == null)
        {
            return GeneralOps.Plain(interpreter, cpu, op);
        }

        // In this order: POP ESP leaves what was popped.
        cpu->Gpr[(int)Gpr.Esp] = top + 4;
        *(uint*)Addresses.At(cpu, op->Register0) = Interpreter.Load(stack, 4);
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int Leave(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        uint frame = cpu->Gpr[(int)Gpr.Ebp];
        byte* stack = Addresses.Open(cpu, frame, 4, MemoryAccess.Read);
        if (stack == null)
        {
            return GeneralOps.Plain(interpreter, cpu, op);
        }

        cpu->Gpr[(int)Gpr.Ebp] = Interpreter.Load(stack, 4);
        cpu->Gpr[(int)Gpr.Esp] = frame + 4;
        return Chain.Next(interpreter, cpu, op);
    }
}
