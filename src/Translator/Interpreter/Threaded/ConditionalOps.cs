using System.Runtime.CompilerServices;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Threaded;

/// <summary>CMOVcc of 32 bits and SETcc, registers the destinations.</summary>
internal static unsafe class ConditionalOps
{
    /// <summary>The routine of a CMOVcc.</summary>
    public static ThreadedRoutine PickCmov(in DecodedInstruction d) =>
        d.Size != 4 ? null
        : d.Kind1 == OperandKind.Register ? &Move
        : (d.Flags & (DecodedFlags.Direct | DecodedFlags.FullAddress)) == DecodedFlags.Direct ? &MoveMemory
        : null;

    /// <summary>The routine of a SETcc.</summary>
    public static ThreadedRoutine PickSet(in DecodedInstruction d) => d.Kind0 == OperandKind.Register ? &Set : null;

    [MethodImpl(Chain.Hot)]
    private static int Move(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        if (LazyFlags.Condition(cpu, (int)op->Immediate))
        {
            *(uint*)Addresses.At(cpu, op->Register0) = *(uint*)Addresses.At(cpu, op->Register1);
        }

        return Chain.Next(interpreter, cpu, op);
    }

    // The source is read, and may fault, in either case.
    [MethodImpl(Chain.Hot)]
    private static int MoveMemory(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        uint linear = Addresses.Linear<BaseAddress>(cpu, op);
        long entry = Addresses.Entry(cpu, linear, MemoryAccess.Read);
        if (Addresses.IsSlow<BaseAddress, Byte4>(cpu, op, linear, entry))
        {
            return GeneralOps.Plain(interpreter, cpu, op);
        }

        uint value = Interpreter.Load((byte*)(entry + linear), 4);
        if (LazyFlags.Condition(cpu, (int)op->Immediate))
        {
            *(uint*)Addresses.At(cpu, op->Register0) = value;
        }

        return Chain.Next(interpreter, cpu, op);
    }

    [MethodImpl(Chain.Hot)]
    private static int Set(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        *Addresses.At(cpu, op->Register0) = LazyFlags.Condition(cpu, (int)op->Immediate) ? (byte)1 : (byte)0;
        return Chain.Next(interpreter, cpu, op);
    }
}
