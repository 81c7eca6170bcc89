using System.Runtime.CompilerServices;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Operations;

/// <summary>What an operation of one operand computes, and how it leaves the flags.</summary>
internal unsafe interface IUnary
{
    /// <summary>The result; bits above the operand size do not matter.</summary>
    static abstract uint Compute(uint a);

    /// <summary>Sets the flags; all values zero-extended.</summary>
    static abstract void SetFlags(CpuState* cpu, int size, uint a, uint result);
}

/// <summary>INC, DEC, NEG, NOT.</summary>
internal static unsafe class UnaryOperations
{
    /// <summary>The routine of one operation.</summary>
    public static bool Execute<TOperation>(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
        where TOperation : struct, IUnary
    {
        int size = d.Size;
        byte* pointer = interpreter.Operand0(cpu, in d, MemoryAccess.Write);
        if (pointer == null)
        {
            return false;
        }

        uint a;
        uint result;
        if ((d.Flags & DecodedFlags.Lock) != 0)
        {
            a = Locked<TOperation>(interpreter, cpu, pointer, size, out result);
        }
        else
        {
            a = Interpreter.Load(pointer, size);
            result = TOperation.Compute(a);
            Interpreter.Store(pointer, size, result);
            interpreter.Commit(cpu);
        }

        TOperation.SetFlags(cpu, size, a, result & Interpreter.Mask(size));
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static uint Locked<TOperation>(Interpreter interpreter, CpuState* cpu, byte* pointer, int size, out uint result)
        where TOperation : struct, IUnary
    {
        uint a;
        if (interpreter.NeedsSplitLock(pointer, size))
        {
            using Lock.Scope scope = Interpreter.EnterSplitLock();
            interpreter.RefreshSplit();
            a = Interpreter.Load(pointer, size);
            result = TOperation.Compute(a);
            interpreter.StoreSplit(cpu, pointer, size, a, result);
            return a;
        }

        uint seen = Interpreter.Load(pointer, size);
        do
        {
            a = seen;
            result = TOperation.Compute(a);
            seen = Interpreter.CompareExchange(pointer, size, result, a);
        }
        while (seen != a);
        interpreter.Commit(cpu);
        return a;
    }
}

/// <summary>INC; CF stays.</summary>
internal readonly unsafe struct IncOperation : IUnary
{
    public static uint Compute(uint a) => a + 1;

    public static void SetFlags(CpuState* cpu, int size, uint a, uint result) =>
        LazyFlags.Set(cpu, FlagOperation.Increment, size, a, LazyFlags.Carry(cpu), result);
}

/// <summary>DEC; CF stays.</summary>
internal readonly unsafe struct DecOperation : IUnary
{
    public static uint Compute(uint a) => a - 1;

    public static void SetFlags(CpuState* cpu, int size, uint a, uint result) =>
        LazyFlags.Set(cpu, FlagOperation.Decrement, size, a, LazyFlags.Carry(cpu), result);
}

/// <summary>NEG: 0 - operand.</summary>
internal readonly unsafe struct NegOperation : IUnary
{
    public static uint Compute(uint a) => 0 - a;

    public static void SetFlags(CpuState* cpu, int size, uint a, uint result) =>
        LazyFlags.Set(cpu, FlagOperation.Subtract, size, 0, a, result);
}

/// <summary>NOT: no flags.</summary>
internal readonly unsafe struct NotOperation : IUnary
{
    public static uint Compute(uint a) => ~a;

    public static void SetFlags(CpuState* cpu, int size, uint a, uint result)
    {
    }
}
