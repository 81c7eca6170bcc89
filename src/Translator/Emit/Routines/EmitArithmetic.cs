using System.Reflection.Emit;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

/// <summary>Addition, subtraction and logic with their operands in registers, immediates and memory.</summary>
internal static class EmitArithmetic
{
    public static bool Add(InstructionEmitter e, in Instruction i) => Binary(e, i, OpCodes.Add);

    public static bool Sub(InstructionEmitter e, in Instruction i) => Binary(e, i, OpCodes.Sub);

    public static bool And(InstructionEmitter e, in Instruction i) => Binary(e, i, OpCodes.And);

    public static bool Or(InstructionEmitter e, in Instruction i) => Binary(e, i, OpCodes.Or);

    public static bool Xor(InstructionEmitter e, in Instruction i) => Binary(e, i, OpCodes.Xor);

    public static bool Adc(InstructionEmitter e, in Instruction i) => WithCarry(e, i, OpCodes.Add);

    public static bool Sbb(InstructionEmitter e, in Instruction i) => WithCarry(e, i, OpCodes.Sub);

    public static bool Inc(InstructionEmitter e, in Instruction i) => Step(e, i, increment: true);

    public static bool Dec(InstructionEmitter e, in Instruction i) => Step(e, i, increment: false);

    public static bool Cmp(InstructionEmitter e, in Instruction i)
    {
        int size = InstructionEmitter.SizeOf(i, 0);
        Value a = e.Source(i, 0, size);
        Value b = e.Source(i, 1, size);
        e.SetFlags(new SubtractFlags(size, a, b, null));
        return true;
    }

    public static bool Test(InstructionEmitter e, in Instruction i)
    {
        int size = InstructionEmitter.SizeOf(i, 0);
        Value a = e.Source(i, 0, size);
        if (i.Op1Kind == OpKind.Register && i.Op0Kind == OpKind.Register && i.Op0Register == i.Op1Register)
        {
            e.SetFlags(new LogicFlags(size, a));
            return true;
        }

        Value b = e.Source(i, 1, size);
        e.Push(a);
        e.Push(b);
        e.Il.Emit(OpCodes.And);
        e.SetFlags(new LogicFlags(size, e.StoreValue()));
        return true;
    }

    public static bool Not(InstructionEmitter e, in Instruction i)
    {
        if (i.HasLockPrefix)
        {
            return EmitLocked.Not(e, i);
        }

        int size = InstructionEmitter.SizeOf(i, 0);
        Destination destination = Destination.Of(e, i, size);
        e.Push(destination.Old);
        e.Il.Emit(OpCodes.Not);
        e.Truncate(size);
        destination.Write(e, e.StoreValue());
        return true;
    }

    public static bool Neg(InstructionEmitter e, in Instruction i)
    {
        if (i.HasLockPrefix)
        {
            return EmitLocked.Neg(e, i);
        }

        int size = InstructionEmitter.SizeOf(i, 0);
        Destination destination = Destination.Of(e, i, size);
        Value old = e.Fixed(destination.Old);
        e.Push(old);
        e.Il.Emit(OpCodes.Neg);
        e.Truncate(size);
        Value result = e.StoreValue();
        e.ForgetFlags();
        Value written = destination.Write(e, result);
        e.SetFlags(new SubtractFlags(size, Value.Constant(0), old, written));
        return true;
    }

    private static bool Binary(InstructionEmitter e, in Instruction i, OpCode operation)
    {
        if (i.HasLockPrefix)
        {
            return EmitLocked.Binary(e, i, operation);
        }

        int size = InstructionEmitter.SizeOf(i, 0);
        Value b;
        Destination destination;
        if (i.Op1Kind == OpKind.Memory)
        {
            b = e.Source(i, 1, size);
            destination = Destination.Of(e, i, size);
        }
        else
        {
            destination = Destination.Of(e, i, size);
            b = e.Source(i, 1, size);
        }

        if (operation == OpCodes.Xor || operation == OpCodes.Sub)
        {
            if (i.Op0Kind == OpKind.Register && i.Op1Kind == OpKind.Register && i.Op0Register == i.Op1Register)
            {
                e.ForgetFlags();
                destination.Write(e, Value.Constant(0));
                e.SetFlags(operation == OpCodes.Xor
                    ? new LogicFlags(size, Value.Constant(0))
                    : new SubtractFlags(size, Value.Constant(0), Value.Constant(0), Value.Constant(0)));
                return true;
            }
        }

        Value a = destination.Old;
        if (i.Op0Kind == OpKind.Register && b.IsRegister(InstructionEmitter.NumberOf(i.Op0Register)))
        {
            b = e.Fixed(b);
        }

        if (operation == OpCodes.Sub)
        {
            a = e.Fixed(a);
        }

        e.Push(a);
        e.Push(b);
        e.Il.Emit(operation);
        if (operation == OpCodes.Add || operation == OpCodes.Sub)
        {
            e.Truncate(size);
        }

        Value result = e.StoreValue();
        e.ForgetFlags();
        result = destination.Write(e, result);
        if (operation == OpCodes.Add)
        {
            e.SetFlags(new AddFlags(size, b, result));
        }
        else if (operation == OpCodes.Sub)
        {
            e.SetFlags(new SubtractFlags(size, a, b, result));
        }
        else
        {
            e.SetFlags(new LogicFlags(size, result));
        }

        return true;
    }

    private static bool WithCarry(InstructionEmitter e, in Instruction i, OpCode operation)
    {
        if (i.HasLockPrefix)
        {
            return EmitLocked.WithCarry(e, i, operation);
        }

        int size = InstructionEmitter.SizeOf(i, 0);
        Value b = i.Op1Kind == OpKind.Memory ? e.Source(i, 1, size) : default;
        Destination destination = Destination.Of(e, i, size);
        b = e.Fixed(i.Op1Kind == OpKind.Memory ? b : e.Source(i, 1, size));
        Value a = e.Fixed(destination.Old);
        e.Flags.PushCarry(e);
        Value carry = e.StoreValue();
        e.Push(a);
        e.Push(b);
        e.Il.Emit(operation);
        e.Push(carry);
        e.Il.Emit(operation);
        e.Truncate(size);
        Value result = e.StoreValue();
        e.ForgetFlags();
        destination.Write(e, result);
        e.SetFlags(CarryFlags(operation, size, a, b, carry, result));
        return true;
    }

    /// <summary>Flags of ADC and SBB. Operands are locals or constants.</summary>
    public static FlagValue CarryFlags(OpCode operation, int size, Value a, Value b, Value carry, Value result)
    {
        bool add = operation == OpCodes.Add;
        return new ComputedFlags(
            (e, _) =>
            {
                e.Push(a);
                e.Push(b);
                e.Push(result);
                e.Constant(size);
                e.Il.Emit(OpCodes.Call, add ? EmitMethods.AddStatus : EmitMethods.SubtractStatus);
            },
            result: result,
            size: size,
            carry: e =>
            {
                // In 64 bits the carry out is plain to see: a + b + c > max, or a < b + c.
                if (add)
                {
                    e.PushWide(a);
                    e.PushWide(b);
                    e.Il.Emit(OpCodes.Add);
                    e.PushWide(carry);
                    e.Il.Emit(OpCodes.Add);
                    e.Constant(size * 8);
                    e.Il.Emit(OpCodes.Shr_Un);
                    e.Il.Emit(OpCodes.Conv_I4);
                }
                else
                {
                    e.PushWide(a);
                    e.PushWide(b);
                    e.PushWide(carry);
                    e.Il.Emit(OpCodes.Add);
                    e.Il.Emit(OpCodes.Clt_Un);
                }
            });
    }

    private static bool Step(InstructionEmitter e, in Instruction i, bool increment)
    {
        if (i.HasLockPrefix)
        {
            return EmitLocked.Step(e, i, increment);
        }

        int size = InstructionEmitter.SizeOf(i, 0);
        Destination destination = Destination.Of(e, i, size);
        e.Push(destination.Old);
        e.Constant(1);
        e.Il.Emit(increment ? OpCodes.Add : OpCodes.Sub);
        e.Truncate(size);
        Value result = destination.Write(e, e.StoreValue());
        e.SetFlags(new StepFlags(size, increment, result, e.Flags));
        return true;
    }
}
