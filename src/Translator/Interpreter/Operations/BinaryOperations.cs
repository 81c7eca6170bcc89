using System.Runtime.CompilerServices;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Operations;

/// <summary>What an operation of two operands computes, and how it leaves the flags.</summary>
internal unsafe interface IBinary
{
    /// <summary>Whether the first operand is written; CMP and TEST only compare.</summary>
    static abstract bool Writes { get; }

    /// <summary>Whether CF is a third operand.</summary>
    static abstract bool UsesCarry { get; }

    /// <summary>The result; bits above the operand size do not matter.</summary>
    static abstract uint Compute(uint a, uint b, uint carry);

    /// <summary>Sets the flags; all values zero-extended from <paramref name="size"/> bytes.</summary>
    static abstract void SetFlags(CpuState* cpu, int size, uint a, uint b, uint result, uint carry);
}

/// <summary>ADD, ADC, SUB, SBB, CMP, AND, OR, XOR, TEST: every operand form and size.</summary>
internal static unsafe class BinaryOperations
{
    /// <summary>The routine of one operation.</summary>
    public static bool Execute<TOperation>(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
        where TOperation : struct, IBinary
    {
        int size = d.Size;
        if (!interpreter.TryOperand1(cpu, in d, size, out uint b))
        {
            return false;
        }

        byte* pointer;
        if (d.Kind0 == OperandKind.Register)
        {
            pointer = Interpreter.Register(cpu, d.Register0);
        }
        else
        {
            pointer = interpreter.Open(cpu, in d, size, TOperation.Writes ? MemoryAccess.Write : MemoryAccess.Read);
            if (pointer == null)
            {
                return false;
            }

            if (TOperation.Writes && (d.Flags & DecodedFlags.Lock) != 0)
            {
                Locked<TOperation>(interpreter, cpu, pointer, size, b);
                return true;
            }
        }

        uint carry = TOperation.UsesCarry ? LazyFlags.Carry(cpu) : 0;
        uint a = Interpreter.Load(pointer, size);
        uint result = TOperation.Compute(a, b, carry);
        if (TOperation.Writes)
        {
            Interpreter.Store(pointer, size, result);
            interpreter.Commit(cpu);
        }

        TOperation.SetFlags(cpu, size, a, b, result & Interpreter.Mask(size), carry);
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Locked<TOperation>(Interpreter interpreter, CpuState* cpu, byte* pointer, int size, uint b)
        where TOperation : struct, IBinary
    {
        uint carry = TOperation.UsesCarry ? LazyFlags.Carry(cpu) : 0;
        uint a;
        uint result;
        if (interpreter.NeedsSplitLock(pointer, size))
        {
            using Lock.Scope scope = Interpreter.EnterSplitLock();
            interpreter.RefreshSplit();
            a = Interpreter.Load(pointer, size);
            result = TOperation.Compute(a, b, carry);
            interpreter.StoreSplit(cpu, pointer, size, a, result);
        }
        else
        {
            uint seen = Interpreter.Load(pointer, size);
            do
            {
                a = seen;
                result = TOperation.Compute(a, b, carry);
                seen = Interpreter.CompareExchange(pointer, size, result, a);
            }
            while (seen != a);
            interpreter.Commit(cpu);
        }

        TOperation.SetFlags(cpu, size, a, b, result & Interpreter.Mask(size), carry);
    }
}

/// <summary>ADD.</summary>
internal readonly unsafe struct AddOperation : IBinary
{
    public static bool Writes => true;

    public static bool UsesCarry => false;

    public static uint Compute(uint a, uint b, uint carry) => a + b;

    public static void SetFlags(CpuState* cpu, int size, uint a, uint b, uint result, uint carry) =>
        LazyFlags.Set(cpu, FlagOperation.Add, size, a, b, result);
}

/// <summary>ADC.</summary>
internal readonly unsafe struct AdcOperation : IBinary
{
    public static bool Writes => true;

    public static bool UsesCarry => true;

    public static uint Compute(uint a, uint b, uint carry) => a + b + carry;

    public static void SetFlags(CpuState* cpu, int size, uint a, uint b, uint result, uint carry)
    {
        uint sign = 1u << ((size * 8) - 1);
        bool carryOut = (((ulong)a + b + carry) >> (size * 8)) != 0;
        LazyFlags.SetStatus(cpu, LazyFlags.ZeroSignParity(result, size) | (carryOut ? Flags.Cf : 0) | ((a ^ b ^ result) & Flags.Af)
            | (((a ^ result) & (b ^ result) & sign) != 0 ? Flags.Of : 0));
    }
}

/// <summary>SUB.</summary>
internal readonly unsafe struct SubOperation : IBinary
{
    public static bool Writes => true;

    public static bool UsesCarry => false;

    public static uint Compute(uint a, uint b, uint carry) => a - b;

    public static void SetFlags(CpuState* cpu, int size, uint a, uint b, uint result, uint carry) =>
        LazyFlags.Set(cpu, FlagOperation.Subtract, size, a, b, result);
}

/// <summary>SBB.</summary>
internal readonly unsafe struct SbbOperation : IBinary
{
    public static bool Writes => true;

    public static bool UsesCarry => true;

    public static uint Compute(uint a, uint b, uint carry) => a - b - carry;

    public static void SetFlags(CpuState* cpu, int size, uint a, uint b, uint result, uint carry)
    {
        uint sign = 1u << ((size * 8) - 1);
        bool borrow = a < (ulong)b + carry;
        LazyFlags.SetStatus(cpu, LazyFlags.ZeroSignParity(result, size) | (borrow ? Flags.Cf : 0) | ((a ^ b ^ result) & Flags.Af)
            | (((a ^ b) & (a ^ result) & sign) != 0 ? Flags.Of : 0));
    }
}

/// <summary>CMP.</summary>
internal readonly unsafe struct CmpOperation : IBinary
{
    public static bool Writes => false;

    public static bool UsesCarry => false;

    public static uint Compute(uint a, uint b, uint carry) => a - b;

    public static void SetFlags(CpuState* cpu, int size, uint a, uint b, uint result, uint carry) =>
        LazyFlags.Set(cpu, FlagOperation.Subtract, size, a, b, result);
}

/// <summary>AND.</summary>
internal readonly unsafe struct AndOperation : IBinary
{
    public static bool Writes => true;

    public static bool UsesCarry => false;

    public static uint Compute(uint a, uint b, uint carry) => a & b;

    public static void SetFlags(CpuState* cpu, int size, uint a, uint b, uint result, uint carry) =>
        LazyFlags.Set(cpu, FlagOperation.Logic, size, a, b, result);
}

/// <summary>OR.</summary>
internal readonly unsafe struct OrOperation : IBinary
{
    public static bool Writes => true;

    public static bool UsesCarry => false;

    public static uint Compute(uint a, uint b, uint carry) => a | b;

    public static void SetFlags(CpuState* cpu, int size, uint a, uint b, uint result, uint carry) =>
        LazyFlags.Set(cpu, FlagOperation.Logic, size, a, b, result);
}

/// <summary>XOR.</summary>
internal readonly unsafe struct XorOperation : IBinary
{
    public static bool Writes => true;

    public static bool UsesCarry => false;

    public static uint Compute(uint a, uint b, uint carry) => a ^ b;

    public static void SetFlags(CpuState* cpu, int size, uint a, uint b, uint result, uint carry) =>
        LazyFlags.Set(cpu, FlagOperation.Logic, size, a, b, result);
}

/// <summary>TEST.</summary>
internal readonly unsafe struct TestOperation : IBinary
{
    public static bool Writes => false;

    public static bool UsesCarry => false;

    public static uint Compute(uint a, uint b, uint carry) => a & b;

    public static void SetFlags(CpuState* cpu, int size, uint a, uint b, uint result, uint carry) =>
        LazyFlags.Set(cpu, FlagOperation.Logic, size, a, b, result);
}
