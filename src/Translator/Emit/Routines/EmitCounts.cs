using System.Reflection.Emit;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

/// <summary>POPCNT, LZCNT and TZCNT. Compilers write TZCNT for BSF where they know that the operand is not 0.</summary>
internal static class EmitCounts
{
    public static bool Popcnt(InstructionEmitter e, in Instruction i)
    {
        Value value = Operand(e, i, out _);
        e.Push(value);
        e.Il.Emit(OpCodes.Call, EmitMethods.PopCount);
        Value count = e.StoreValue();
        e.ForgetFlags();
        e.SetRegister(i.Op0Register, count);
        e.SetFlags(new ComputedFlags((e, _) => PushIfZero(e, value, Flags.Zf)));
        return true;
    }

    public static bool Lzcnt(InstructionEmitter e, in Instruction i)
    {
        Value value = Operand(e, i, out int size);
        e.Push(value);
        e.Il.Emit(OpCodes.Call, EmitMethods.LeadingZeros);
        e.Constant(32 - (size * 8));
        e.Il.Emit(OpCodes.Sub);
        return Count(e, i, value, e.StoreValue());
    }

    public static bool Tzcnt(InstructionEmitter e, in Instruction i)
    {
        Value value = Operand(e, i, out int size);
        e.Push(value);
        if (size < 4)
        {
            // A bit behind the operand, where counting ends.
            e.Constant(1 << (size * 8));
            e.Il.Emit(OpCodes.Or);
        }

        e.Il.Emit(OpCodes.Call, EmitMethods.TrailingZeros);
        return Count(e, i, value, e.StoreValue());
    }

    private static Value Operand(InstructionEmitter e, in Instruction i, out int size)
    {
        size = InstructionEmitter.SizeOf(i, 0);
        return e.Fixed(e.Source(i, 1, size));
    }

    /// <summary>CF where the operand is 0, ZF where the count is. The others are undefined; OF stays and the rest is clear, as in the interpreter.</summary>
    private static bool Count(InstructionEmitter e, in Instruction i, Value value, Value count)
    {
        e.SetRegister(i.Op0Register, count);
        e.SetFlags(new ComputedFlags(
            (e, earlier) =>
            {
                earlier.PushStatus(e);
                e.Constant((int)Flags.Of);
                e.Il.Emit(OpCodes.And);
                PushIfZero(e, value, Flags.Cf);
                e.Il.Emit(OpCodes.Or);
                PushIfZero(e, count, Flags.Zf);
                e.Il.Emit(OpCodes.Or);
            },
            e.Flags));
        return true;
    }

    private static void PushIfZero(InstructionEmitter e, Value value, uint flag)
    {
        e.Push(value);
        e.Constant(0);
        e.Il.Emit(OpCodes.Ceq);
        e.Constant(System.Numerics.BitOperations.Log2(flag));
        e.Il.Emit(OpCodes.Shl);
    }
}
