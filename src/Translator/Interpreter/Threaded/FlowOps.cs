using System.Runtime.CompilerServices;
using Dbt.Translator.Instructions;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Threaded;

/// <summary>
/// Near JMP, CALL and RET of 32 bits in flat segments, where no target is outside CS. They end their block; what they cannot do ends it too.
/// </summary>
internal static unsafe class FlowOps
{
    /// <summary>The routine of a JMP.</summary>
    public static ThreadedRoutine PickJmp(in DecodedInstruction d)
    {
        if (!StackOps.IsFlat(in d))
        {
            return null;
        }

        switch (d.Kind0)
        {
            case OperandKind.Immediate:
                return &Jump;
            case OperandKind.Register:
                return &JumpRegister;
            case OperandKind.Memory when (d.Flags & DecodedFlags.Direct) != 0:
                return (d.Flags & DecodedFlags.FullAddress) != 0 ? &JumpMemory<FullAddress> : &JumpMemory<BaseAddress>;
            default:
                return null;
        }
    }

    /// <summary>Whether <see cref="PickJmp"/> gives an instruction a routine that notes its targets (<see cref="JumpTargets"/>).</summary>
    public static bool IsComputedJump(in DecodedInstruction d, InstructionRow? row) =>
        row is { Mnemonic: Iced.Intel.Mnemonic.Jmp } && row.Threaded != null && d.Kind0 != OperandKind.Immediate && PickJmp(in d) != null;

    /// <summary>The routine of a CALL.</summary>
    public static ThreadedRoutine PickCall(in DecodedInstruction d)
    {
        if (!StackOps.IsFlat(in d))
        {
            return null;
        }

        switch (d.Kind0)
        {
            case OperandKind.Immediate:
                return &Call;
            case OperandKind.Register:
                return &CallRegister;
            case OperandKind.Memory when (d.Flags & DecodedFlags.Direct) != 0:
                return (d.Flags & DecodedFlags.FullAddress) != 0 ? &CallMemory<FullAddress> : &CallMemory<BaseAddress>;
            default:
                return null;
        }
    }

    /// <summary>The routine of a near RET.</summary>
    public static ThreadedRoutine PickRet(in DecodedInstruction d) => StackOps.IsFlat(in d) ? &Ret : null;

    [MethodImpl(Chain.Hot)]
    private static int Jump(Interpreter interpreter, CpuState* cpu, Op* op) =>
        Chain.Go(interpreter, cpu, op, op->Immediate, Op.Links(op));

    [MethodImpl(Chain.Hot)]
    private static int JumpRegister(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        uint target = *(uint*)Addresses.At(cpu, op->Register0);
        JumpTargets.Note(op, target);
        return Chain.GoIndirect(interpreter, cpu, op, target);
    }

    [MethodImpl(Chain.Hot)]
    private static int JumpMemory<TAddress>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TAddress : struct, IAddress
    {
        uint linear = Addresses.Linear<TAddress>(cpu, op);
        long entry = Addresses.Entry(cpu, linear, MemoryAccess.Read);
        if (Addresses.IsSlow<TAddress, Byte4>(cpu, op, linear, entry))
        {
            return GeneralOps.EndSetsEip(interpreter, cpu, op);
        }

        uint target = Interpreter.Load((byte*)(entry + linear), 4);
        JumpTargets.Note(op, target);
        return Chain.GoIndirect(interpreter, cpu, op, target);
    }

    [MethodImpl(Chain.Hot)]
    private static int Call(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        uint top = cpu->Gpr[(int)Gpr.Esp] - 4;
        long entry = Addresses.Entry(cpu, top, MemoryAccess.Write);
        if (Addresses.IsSlow(top, entry))
        {
            return GeneralOps.EndSetsEip(interpreter, cpu, op);
        }

        byte* stack = (byte*)(entry + top);
        Interpreter.Store(stack, 4, op->Displacement);
        cpu->Gpr[(int)Gpr.Esp] = top;
        return Chain.Go(interpreter, cpu, op, op->Immediate, Op.Links(op));
    }

    [MethodImpl(Chain.Hot)]
    private static int CallRegister(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        uint target = *(uint*)Addresses.At(cpu, op->Register0);
        uint top = cpu->Gpr[(int)Gpr.Esp] - 4;
        long entry = Addresses.Entry(cpu, top, MemoryAccess.Write);
        if (Addresses.IsSlow(top, entry))
        {
            return GeneralOps.EndSetsEip(interpreter, cpu, op);
        }

        byte* stack = (byte*)(entry + top);
        Interpreter.Store(stack, 4, op->General->NextEip);
        cpu->Gpr[(int)Gpr.Esp] = top;
        return Chain.GoIndirect(interpreter, cpu, op, target);
    }

    [MethodImpl(Chain.Hot)]
    private static int CallMemory<TAddress>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TAddress : struct, IAddress
    {
        uint linear = Addresses.Linear<TAddress>(cpu, op);
        long entry = Addresses.Entry(cpu, linear, MemoryAccess.Read);
        uint top = cpu->Gpr[(int)Gpr.Esp] - 4;
        long stack = Addresses.Entry(cpu, top, MemoryAccess.Write);
        if (Addresses.IsSlow<TAddress, Byte4>(cpu, op, linear, entry) || Addresses.IsSlow(top, stack))
        {
            return GeneralOps.EndSetsEip(interpreter, cpu, op);
        }

        // Read before the push: the operand may lie where the return address goes.
        uint target = Interpreter.Load((byte*)(entry + linear), 4);
        Interpreter.Store((byte*)(stack + top), 4, op->General->NextEip);
        cpu->Gpr[(int)Gpr.Esp] = top;
        return Chain.GoIndirect(interpreter, cpu, op, target);
    }

    [MethodImpl(Chain.Hot)]
    private static int Ret(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        uint top = cpu->Gpr[(int)Gpr.Esp];
        long entry = Addresses.Entry(cpu, top, MemoryAccess.Read);
        if (Addresses.IsSlow(top, entry))
        {
            return GeneralOps.EndSetsEip(interpreter, cpu, op);
        }

        byte* stack = (byte*)(entry + top);
        cpu->Gpr[(int)Gpr.Esp] = top + 4 + op->Immediate;
        return Chain.GoIndirect(interpreter, cpu, op, Interpreter.Load(stack, 4));
    }
}
