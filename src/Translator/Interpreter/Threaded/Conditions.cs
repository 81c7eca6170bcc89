using System.Runtime.CompilerServices;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Threaded;

/// <summary>One of the eight conditions, or its opposite, found from the flags as they are held, or of two operands just compared.</summary>
internal unsafe interface ICondition
{
    /// <summary>From the flags.</summary>
    static abstract bool OfFlags(CpuState* cpu);

    /// <summary>After CMP a, b; operands of fewer than 32 bits in the upper bits of these, zeros below.</summary>
    static abstract bool OfCompared(int a, int b);

    /// <summary>After TEST; the result in the upper bits likewise.</summary>
    static abstract bool OfTested(int result);
}

/// <summary>The opposite of a condition.</summary>
internal readonly unsafe struct Not<TCondition> : ICondition
    where TCondition : struct, ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfFlags(CpuState* cpu) => !TCondition.OfFlags(cpu);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfCompared(int a, int b) => !TCondition.OfCompared(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfTested(int result) => !TCondition.OfTested(result);
}

/// <summary>B: CF.</summary>
internal readonly unsafe struct Below : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfFlags(CpuState* cpu) => Conditions.IsSubtract(cpu) ? cpu->FlagA < cpu->FlagB : LazyFlags.Carry(cpu) != 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfCompared(int a, int b) => (uint)a < (uint)b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfTested(int result) => false;
}

/// <summary>E: ZF.</summary>
internal readonly unsafe struct Equal : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfFlags(CpuState* cpu) =>
        (cpu->FlagOp & 0xFF) != 0 ? cpu->FlagResult == 0 : (cpu->Eflags & Flags.Zf) != 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfCompared(int a, int b) => a == b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfTested(int result) => result == 0;
}

/// <summary>BE: CF or ZF.</summary>
internal readonly unsafe struct BelowOrEqual : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfFlags(CpuState* cpu) => Conditions.IsSubtract(cpu) ? cpu->FlagA <= cpu->FlagB : LazyFlags.Condition(cpu, 6);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfCompared(int a, int b) => (uint)a <= (uint)b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfTested(int result) => result == 0;
}

/// <summary>S: SF.</summary>
internal readonly unsafe struct Sign : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfFlags(CpuState* cpu)
    {
        uint op = cpu->FlagOp;
        return (op & 0xFF) != 0 ? (cpu->FlagResult >> ((int)((op >> 8) * 8) - 1) & 1) != 0 : (cpu->Eflags & Flags.Sf) != 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfCompared(int a, int b) => a - b < 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfTested(int result) => result < 0;
}

/// <summary>L: SF and OF differ.</summary>
internal readonly unsafe struct Less : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfFlags(CpuState* cpu) =>
        cpu->FlagOp == Conditions.Subtract4 ? (int)cpu->FlagA < (int)cpu->FlagB : LazyFlags.Condition(cpu, 12);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfCompared(int a, int b) => a < b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfTested(int result) => result < 0;
}

/// <summary>LE: ZF, or SF and OF differ.</summary>
internal readonly unsafe struct LessOrEqual : ICondition
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfFlags(CpuState* cpu) =>
        cpu->FlagOp == Conditions.Subtract4 ? (int)cpu->FlagA <= (int)cpu->FlagB : LazyFlags.Condition(cpu, 14);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfCompared(int a, int b) => a <= b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OfTested(int result) => result <= 0;
}

/// <summary>What conditions share.</summary>
internal static unsafe class Conditions
{
    /// <summary><see cref="CpuState.FlagOp"/> after a subtraction of 32 bits.</summary>
    public const uint Subtract4 = (uint)FlagOperation.Subtract | (4 << 8);

    /// <summary>Whether the flags are those of a subtraction.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsSubtract(CpuState* cpu) => (cpu->FlagOp & 0xFF) == (uint)FlagOperation.Subtract;
}
