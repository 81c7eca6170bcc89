using System.Runtime.CompilerServices;
using Dbt.Translator.Interpretation.Operations;
using Dbt.Translator.State;

namespace Dbt.Translator.Emit;

/// <summary>Status flags from operands and results, all zero-extended; called from translated code where flags are wanted in full.</summary>
internal static class FlagMath
{
    /// <summary>ADD and ADC: the carries out of each bit follow from operands and result, so the carry in is not needed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static uint Add(uint a, uint b, uint result, int size)
    {
        uint carries = (a & b) | ((a | b) & ~result);
        return Arithmetic(a, b, result, carries, (a ^ result) & (b ^ result), size);
    }

    /// <summary>SUB, CMP and SBB: likewise by the borrows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static uint Subtract(uint a, uint b, uint result, int size)
    {
        uint borrows = (~a & b) | ((~a | b) & result);
        return Arithmetic(a, b, result, borrows, (a ^ b) & (a ^ result), size);
    }

    /// <summary>INC with the CF of before.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static uint Increment(uint result, uint carry, int size) =>
        carry
        | LazyFlags.ZeroSignParity(result, size)
        | ((result & 0xF) == 0 ? Flags.Af : 0)
        | (result == 1u << ((size * 8) - 1) ? Flags.Of : 0);

    /// <summary>DEC with the CF of before.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static uint Decrement(uint result, uint carry, int size) =>
        carry
        | LazyFlags.ZeroSignParity(result, size)
        | ((result & 0xF) == 0xF ? Flags.Af : 0)
        | (result == (1u << ((size * 8) - 1)) - 1 ? Flags.Of : 0);

    /// <summary>The status after a shift or rotate of a zero-extended value, given the status before.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static uint Shift<TShift>(uint value, int count, int size, uint before)
        where TShift : struct, IShift
    {
        if (count == 0)
        {
            return before;
        }

        bool carry = (before & Flags.Cf) != 0;
        uint result = TShift.Compute(value, count, size * 8, ref carry, out bool overflow) & (uint.MaxValue >> (32 - (size * 8)));
        uint others = TShift.SetsAll ? LazyFlags.ZeroSignParity(result, size) | Flags.Af : before & ~(Flags.Cf | Flags.Of);
        return others | (carry ? Flags.Cf : 0) | (overflow ? Flags.Of : 0);
    }

    /// <summary>The result of a rotate.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static uint ShiftResult<TShift>(uint value, int count, int size, uint carryIn)
        where TShift : struct, IShift
    {
        bool carry = carryIn != 0;
        return count == 0 ? value : TShift.Compute(value, count, size * 8, ref carry, out _) & (uint.MaxValue >> (32 - (size * 8)));
    }

    /// <summary>The status after a 32-bit SHLD (<paramref name="left"/> 1) or SHRD.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static uint DoubleShift(uint a, uint b, uint result, int count, int left, uint before)
    {
        if (count == 0)
        {
            return before;
        }

        bool carry = (((left != 0 ? a >> (32 - count) : a >> (count - 1)) & 1) != 0);
        bool top = (result >> 31) != 0;
        bool overflow = left != 0 ? top != carry : top != (((result >> 30) & 1) != 0);
        return LazyFlags.ZeroSignParity(result, 4) | Flags.Af | (carry ? Flags.Cf : 0) | (overflow ? Flags.Of : 0);
    }

    private static uint Arithmetic(uint a, uint b, uint result, uint carries, uint overflow, int size)
    {
        int top = (size * 8) - 1;
        return LazyFlags.ZeroSignParity(result, size)
            | ((carries >> top) & Flags.Cf)
            | ((a ^ b ^ result) & Flags.Af)
            | (((overflow >> top) & 1) != 0 ? Flags.Of : 0);
    }
}
