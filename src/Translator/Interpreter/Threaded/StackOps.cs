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
        long entry = Addresses.Entry(cpu, top, MemoryAccess.Write);
        if (Addresses.IsSlow(top, entry))
        {
            return GeneralOps.Plain(interpreter, cpu, op);
        }

        byte* stack = (byte*)(entry + top);
        Interpreter.Store(stack, 4, *(uint*)Addresses.At(cpu, op->Register0));
        cpu->Gpr[(int)Gpr.Esp] = top;
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int PushImmediate(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        uint top = cpu->Gpr[(int)Gpr.Esp] - 4;
        long entry = Addresses.Entry(cpu, top, MemoryAccess.Write);
        if (Addresses.IsSlow(top, entry))
        {
            return GeneralOps.Plain(interpreter, cpu, op);
        }

        byte* stack = (byte*)(entry + top);
        Interpreter.Store(stack, 4, op->Immediate);
        cpu->Gpr[(int)Gpr.Esp] = top;
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int PushMemory<TAddress>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TAddress : struct, IAddress
    {
        uint linear = Addresses.Linear<TAddress>(cpu, op);
        long entry = Addresses.Entry(cpu, linear, MemoryAccess.Read);
        uint top = cpu->Gpr[(int)Gpr.Esp] - 4;
        long stack = Addresses.Entry(cpu, top, MemoryAccess.Write);
        if (Addresses.IsSlow<TAddress, Byte4>(cpu, op, linear, entry) || Addresses.IsSlow(top, stack))
        {
            return GeneralOps.Plain(interpreter, cpu, op);
        }

        Interpreter.Store((byte*)(stack + top), 4, Interpreter.Load((byte*)(entry + linear), 4));
        cpu->Gpr[(int)Gpr.Esp] = top;
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int PopRegister(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        uint top = cpu->Gpr[(int)Gpr.Esp];
        long entry = Addresses.Entry(cpu, top, MemoryAccess.Read);
        if (Addresses.IsSlow(top, entry))
        {
            return GeneralOps.Plain(interpreter, cpu, op);
        }

        byte* stack = (byte*)(entry + top);
        // In this order: POP ESP leaves what was popped.
        cpu->Gpr[(int)Gpr.Esp] = top + 4;
        *(uint*)Addresses.At(cpu, op->Register0) = Interpreter.Load(stack, 4);
        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int Leave(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        uint frame = cpu->Gpr[(int)Gpr.Ebp];
        long entry = Addresses.Entry(cpu, frame, MemoryAccess.Read);
        if (Addresses.IsSlow(frame, entry))
        {
            return GeneralOps.Plain(interpreter, cpu, op);
        }

        byte* stack = (byte*)(entry + frame);
        cpu->Gpr[(int)Gpr.Ebp] = Interpreter.Load(stack, 4);
        cpu->Gpr[(int)Gpr.Esp] = frame + 4;
        return Chain.Next(interpreter, cpu, op);
    }
}
