using System.Reflection;
using System.Reflection.Emit;
using Dbt.Translator.Interpretation.Operations;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

/// <summary>Shifts and rotates. The flags come from the same code as the interpreter's, when they are asked for.</summary>
internal static class EmitShifts
{
    private static readonly MethodInfo ShlStatus = Status<ShlShift>(), ShrStatus = Status<ShrShift>(), SarStatus = Status<SarShift>();
    private static readonly MethodInfo RolStatus = Status<RolShift>(), RorStatus = Status<RorShift>();
    private static readonly MethodInfo RclStatus = Status<RclShift>(), RcrStatus = Status<RcrShift>();
    private static readonly MethodInfo RclResult = Result<RclShift>(), RcrResult = Result<RcrShift>();
    private static readonly MethodInfo RolResult = Result<RolShift>(), RorResult = Result<RorShift>();

    private static readonly MethodInfo DoubleStatus = EmitMethods.Of(
        typeof(FlagMath), nameof(FlagMath.DoubleShift), typeof(uint), typeof(uint), typeof(uint), typeof(int), typeof(int), typeof(uint));

    public static bool Shl(InstructionEmitter e, in Instruction i) => Shift(e, i, OpCodes.Shl, ShlStatus);

    public static bool Shr(InstructionEmitter e, in Instruction i) => Shift(e, i, OpCodes.Shr_Un, ShrStatus);

    public static bool Sar(InstructionEmitter e, in Instruction i) => Shift(e, i, OpCodes.Shr, SarStatus);

    public static bool Rol(InstructionEmitter e, in Instruction i) => Rotate(e, i, EmitMethods.RotateLeft, RolResult, RolStatus, throughCarry: false);

    public static bool Ror(InstructionEmitter e, in Instruction i) => Rotate(e, i, EmitMethods.RotateRight, RorResult, RorStatus, throughCarry: false);

    public static bool Rcl(InstructionEmitter e, in Instruction i) => Rotate(e, i, null, RclResult, RclStatus, throughCarry: true);

    public static bool Rcr(InstructionEmitter e, in Instruction i) => Rotate(e, i, null, RcrResult, RcrStatus, throughCarry: true);

    public static bool Shld(InstructionEmitter e, in Instruction i) => Double(e, i, left: true);

    public static bool Shrd(InstructionEmitter e, in Instruction i) => Double(e, i, left: false);

    /// <summary>The count, masked: a constant, or a local.</summary>
    private static Value Count(InstructionEmitter e, in Instruction i, int operand)
    {
        if (InstructionEmitter.IsImmediate(i, operand))
        {
            return Value.Constant((int)i.GetImmediate(operand) & 31);
        }

        e.PushRegister(Register.CL);
        e.Constant(31);
        e.Il.Emit(OpCodes.And);
        return e.StoreValue();
    }

    private static bool Shift(InstructionEmitter e, in Instruction i, OpCode operation, MethodInfo status)
    {
        int size = InstructionEmitter.SizeOf(i, 0);
        Destination destination = Destination.Of(e, i, size);
        Value count = Count(e, i, 1);
        if (count == Value.Constant(0))
        {
            return true;
        }

        Value old = e.Fixed(destination.Old);
        if (operation == OpCodes.Shr)
        {
            e.PushSigned(old, size);
        }
        else
        {
            e.Push(old);
        }

        e.Push(count);
        e.Il.Emit(operation);
        e.Truncate(size);
        Value result = e.StoreValue();
        FlagValue? before = null;
        if (count.Kind == ValueKind.Constant)
        {
            e.ForgetFlags();
        }

        destination.Write(e, result);
        if (count.Kind != ValueKind.Constant)
        {
            before = e.Flags;
        }

        // With a count of 0 the flags stay, so the result says nothing of them where the count is not known.
        e.SetFlags(new ComputedFlags(
            (e, earlier) => PushStatus(e, earlier, status, old, count, size, before is not null),
            before,
            before is null ? result : null,
            size));
        return true;
    }

    private static bool Rotate(InstructionEmitter e, in Instruction i, MethodInfo? rotate, MethodInfo wide, MethodInfo status, bool throughCarry)
    {
        int size = InstructionEmitter.SizeOf(i, 0);
        Destination destination = Destination.Of(e, i, size);
        Value count = Count(e, i, 1);
        if (count == Value.Constant(0))
        {
            return true;
        }

        Value old = e.Fixed(destination.Old);
        Value carry = default;
        if (throughCarry)
        {
            e.Flags.PushCarry(e);
            carry = e.StoreValue();
        }

        e.Push(old);
        e.Push(count);
        if (rotate is not null && size == 4)
        {
            e.Il.Emit(OpCodes.Call, rotate);
        }
        else
        {
            e.Constant(size);
            e.Push(carry);
            e.Il.Emit(OpCodes.Call, wide);
        }

        destination.Write(e, e.StoreValue());
        e.SetFlags(new ComputedFlags((e, earlier) => PushStatus(e, earlier, status, old, count, size, needsEarlier: true), e.Flags));
        return true;
    }

    private static bool Double(InstructionEmitter e, in Instruction i, bool left)
    {
        int size = InstructionEmitter.SizeOf(i, 0);
        if (size != 4)
        {
            return false;
        }

        Destination destination = Destination.Of(e, i, size);
        Value count = Count(e, i, 2);
        if (count == Value.Constant(0))
        {
            return true;
        }

        Value a = e.Fixed(destination.Old);
        Value b = e.Fixed(e.RegisterValue(i.Op1Register));

        // Both in one 64-bit value: SHLD's result is its upper half after a left shift, SHRD's its lower after a right shift.
        e.PushWide(left ? a : b);
        e.Constant(32);
        e.Il.Emit(OpCodes.Shl);
        e.PushWide(left ? b : a);
        e.Il.Emit(OpCodes.Or);
        e.Push(count);
        e.Il.Emit(left ? OpCodes.Shl : OpCodes.Shr_Un);
        if (left)
        {
            e.Constant(32);
            e.Il.Emit(OpCodes.Shr_Un);
        }

        e.Il.Emit(OpCodes.Conv_I4);
        Value result = e.StoreValue();
        FlagValue? before = null;
        if (count.Kind == ValueKind.Constant)
        {
            e.ForgetFlags();
        }

        destination.Write(e, result);
        if (count.Kind != ValueKind.Constant)
        {
            before = e.Flags;
        }

        e.SetFlags(new ComputedFlags(
            (e, earlier) =>
            {
                e.Push(a);
                e.Push(b);
                e.Push(result);
                e.Push(count);
                e.Constant(left ? 1 : 0);
                PushEarlier(e, earlier, before is not null);
                e.Il.Emit(OpCodes.Call, DoubleStatus);
            },
            before,
            before is null ? result : null));
        return true;
    }

    private static void PushStatus(InstructionEmitter e, FlagValue earlier, MethodInfo status, Value old, Value count, int size, bool needsEarlier)
    {
        e.Push(old);
        e.Push(count);
        e.Constant(size);
        PushEarlier(e, earlier, needsEarlier);
        e.Il.Emit(OpCodes.Call, status);
    }

    private static void PushEarlier(InstructionEmitter e, FlagValue earlier, bool needed)
    {
        if (needed)
        {
            earlier.PushStatus(e);
        }
        else
        {
            e.Constant(0);
        }
    }

    private static MethodInfo Status<TShift>() => EmitMethods.Warm(typeof(FlagMath).GetMethod(nameof(FlagMath.Shift))!.MakeGenericMethod(typeof(TShift)));

    private static MethodInfo Result<TShift>() => EmitMethods.Warm(typeof(FlagMath).GetMethod(nameof(FlagMath.ShiftResult))!.MakeGenericMethod(typeof(TShift)));
}
