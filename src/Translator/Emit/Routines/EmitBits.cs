using System.Reflection.Emit;
using Dbt.Translator.State;
using Iced.Intel;
using Label = System.Reflection.Emit.Label;

namespace Dbt.Translator.Emit.Routines;

/// <summary>Bit tests, bit scans and the flag instructions.</summary>
internal static class EmitBits
{
    public static bool Bt(InstructionEmitter e, in Instruction i) => Test(e, i, null);

    public static bool Bts(InstructionEmitter e, in Instruction i) => Test(e, i, OpCodes.Or);

    public static bool Btr(InstructionEmitter e, in Instruction i) => Test(e, i, OpCodes.And);

    public static bool Btc(InstructionEmitter e, in Instruction i) => Test(e, i, OpCodes.Xor);

    public static bool Bsf(InstructionEmitter e, in Instruction i) => Scan(e, i, reverse: false);

    public static bool Bsr(InstructionEmitter e, in Instruction i) => Scan(e, i, reverse: true);

    public static bool Clc(InstructionEmitter e, in Instruction i) => SetCarry(e, Value.Constant(0));

    public static bool Stc(InstructionEmitter e, in Instruction i) => SetCarry(e, Value.Constant(1));

    public static bool Cmc(InstructionEmitter e, in Instruction i)
    {
        e.Flags.PushCarry(e);
        e.Constant(1);
        e.Il.Emit(OpCodes.Xor);
        return SetCarry(e, e.StoreValue());
    }

    public static bool Cld(InstructionEmitter e, in Instruction i)
    {
        ChangeDirection(e, OpCodes.And, ~Flags.Df);
        return true;
    }

    public static bool Std(InstructionEmitter e, in Instruction i)
    {
        ChangeDirection(e, OpCodes.Or, Flags.Df);
        return true;
    }

    public static bool Lahf(InstructionEmitter e, in Instruction i)
    {
        e.Flags.PushStatus(e);
        e.Constant((int)Flags.Fixed);
        e.Il.Emit(OpCodes.Or);
        e.SetRegister(Register.AH, e.StoreValue());
        return true;
    }

    public static bool Sahf(InstructionEmitter e, in Instruction i)
    {
        e.PushRegister(Register.AH);
        e.Constant((int)(Flags.Status & 0xFF));
        e.Il.Emit(OpCodes.And);
        Value low = e.StoreValue();
        e.SetFlags(new ComputedFlags(
            (e, earlier) =>
            {
                earlier.PushStatus(e);
                e.Constant((int)Flags.Of);
                e.Il.Emit(OpCodes.And);
                e.Push(low);
                e.Il.Emit(OpCodes.Or);
            },
            e.Flags));
        return true;
    }

    private static void ChangeDirection(InstructionEmitter e, OpCode operation, uint mask) =>
        e.StoreState(StateLayout.Eflags, () =>
        {
            e.LoadState(StateLayout.Eflags, OpCodes.Ldind_I4);
            e.Constant((int)mask);
            e.Il.Emit(operation);
        });

    /// <summary>Sets CF to a constant or local of 0 or 1.</summary>
    public static bool SetCarry(InstructionEmitter e, Value carry)
    {
        e.SetFlags(WithCarry(e.Flags, carry));
        return true;
    }

    /// <summary>The earlier flags with another CF, a constant or local of 0 or 1.</summary>
    private static ComputedFlags WithCarry(FlagValue before, Value carry) => new(
        (e, earlier) =>
        {
            earlier.PushStatus(e);
            e.Constant(~Flags.Cf);
            e.Il.Emit(OpCodes.And);
            e.Push(carry);
            e.Il.Emit(OpCodes.Or);
        },
        before,
        carry: e => e.Push(carry));

    private static bool Test(InstructionEmitter e, in Instruction i, OpCode? change)
    {
        if (i.HasLockPrefix)
        {
            return EmitLocked.BitTest(e, i, change);
        }

        int size = InstructionEmitter.SizeOf(i, 0);
        Value index = e.Fixed(e.Source(i, 1, size));
        Value old;
        GuestPlace? place = null;
        if (i.Op0Kind == OpKind.Memory)
        {
            bool writes = change is not null;
            GuestPlace found = index.Kind == ValueKind.Constant ? e.Place(i, size, writes) : Host(e, i, size, index, writes);
            old = e.Load(found, size);
            place = found;
        }
        else
        {
            old = e.Fixed(e.RegisterValue(i.Op0Register));
        }

        Value bit = Bit(e, index, size);
        e.Push(old);
        e.Push(bit);
        e.Il.Emit(OpCodes.Shr_Un);
        e.Constant(1);
        e.Il.Emit(OpCodes.And);
        Value carry = e.StoreValue();
        if (change is { } operation)
        {
            PushChanged(e, old, bit, operation);
            Value result = e.StoreValue();
            if (place is { } memory)
            {
                e.Store(memory, result, size);
            }
            else
            {
                e.SetRegister(i.Op0Register, result);
            }
        }

        return SetCarry(e, carry);
    }

    /// <summary>The bit's number within its word.</summary>
    public static Value Bit(InstructionEmitter e, Value index, int size)
    {
        if (index.Kind == ValueKind.Constant)
        {
            return Value.Constant(index.Number & ((size * 8) - 1));
        }

        e.Push(index);
        e.Constant((size * 8) - 1);
        e.Il.Emit(OpCodes.And);
        return e.StoreValue();
    }

    /// <summary>Pushes a word with one bit changed.</summary>
    public static void PushChanged(InstructionEmitter e, Value old, Value bit, OpCode operation)
    {
        e.Push(old);
        e.Constant(1);
        e.Push(bit);
        e.Il.Emit(OpCodes.Shl);
        if (operation == OpCodes.And)
        {
            e.Il.Emit(OpCodes.Not);
        }

        e.Il.Emit(operation);
    }

    /// <summary>The word that holds the bit: with a register as index it may lie anywhere around the operand.</summary>
    public static LocalBuilder Host(InstructionEmitter e, in Instruction i, int size, Value index, bool write)
    {
        if (index.Kind == ValueKind.Constant)
        {
            return e.Host(i, size, write);
        }

        e.PushSigned(index, size);
        e.Constant(size == 4 ? 5 : 4);
        e.Il.Emit(OpCodes.Shr);
        e.Constant(size);
        e.Il.Emit(OpCodes.Mul);
        return e.Host(i, size, write, e.StoreValue());
    }

    private static bool Scan(InstructionEmitter e, in Instruction i, bool reverse)
    {
        int size = InstructionEmitter.SizeOf(i, 0);
        Value value = e.Fixed(e.Source(i, 1, size));

        // The destination stays where the source is 0.
        LocalBuilder chosen = e.Temp();
        e.PushRegister(i.Op0Register);
        e.Il.Emit(OpCodes.Stloc, chosen);
        Label zero = e.Il.DefineLabel();
        e.Push(value);
        e.Il.Emit(OpCodes.Brfalse, zero);
        if (reverse)
        {
            e.Constant(31);
        }

        e.Push(value);
        e.Il.Emit(OpCodes.Call, reverse ? EmitMethods.LeadingZeros : EmitMethods.TrailingZeros);
        if (reverse)
        {
            e.Il.Emit(OpCodes.Xor);
        }

        e.Il.Emit(OpCodes.Stloc, chosen);
        e.Il.MarkLabel(zero);
        e.SetRegister(i.Op0Register, Value.Local(chosen));
        e.SetFlags(new ZeroFlag(size, value, e.Flags));
        return true;
    }
}
