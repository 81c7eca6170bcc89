using System.Runtime.CompilerServices;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Threaded;

/// <summary>CMOVcc of 32 bits and SETcc, between registers.</summary>
internal static unsafe class ConditionalOps
{
    /// <summary>The routine of a CMOVcc.</summary>
    public static ThreadedRoutine PickCmov(in DecodedInstruction d) => d.Size == 4 && d.Kind1 == OperandKind.Register ? &Move : null;

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

    [MethodImpl(Chain.Hot)]
    private static int Set(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        *Addresses.At(cpu, op->Register0) = LazyFlags.Condition(cpu, (int)op->Immediate) ? (byte)1 : (byte)0;
        return Chain.Next(interpreter, cpu, op);
    }
}
