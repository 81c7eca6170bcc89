using System.Reflection.Emit;
using Dbt.Translator.State;
using Iced.Intel;
using Label = System.Reflection.Emit.Label;

namespace Dbt.Translator.Emit.Routines;

/// <summary>MUL, IMUL, DIV, IDIV. Flags as the interpreter leaves them, undefined ones included.</summary>
internal static class EmitMultiply
{
    public static bool Mul(InstructionEmitter e, in Instruction i)
    {
        int size = InstructionEmitter.SizeOf(i, 0);
        Value b = e.Source(i, 0, size);
        e.PushWide(e.RegisterValue(Accumulator(size)));
        e.PushWide(b);
        e.Il.Emit(OpCodes.Mul);
        return WideProduct(e, size, signed: false);
    }

    public static bool Imul(InstructionEmitter e, in Instruction i)
    {
        if (i.OpCount == 1)
        {
            int width = InstructionEmitter.SizeOf(i, 0);
            Value factor = e.Source(i, 0, width);
            PushSignedWide(e, e.RegisterValue(Accumulator(width)), width);
            PushSignedWide(e, factor, width);
            e.Il.Emit(OpCodes.Mul);
            return WideProduct(e, width, signed: true);
        }

        int size = InstructionEmitter.SizeOf(i, 0);
        Value a, b;
        if (i.OpCount == 3)
        {
            a = e.Fixed(e.Source(i, 1, size));
            b = e.Source(i, 2, size);
        }
        else
        {
            b = e.Fixed(e.Source(i, 1, size));
            a = e.Fixed(e.RegisterValue(i.Op0Register));
        }

        e.Push(a);
        e.Push(b);
        e.Il.Emit(OpCodes.Mul);
        e.Truncate(size);
        e.SetRegister(i.Op0Register, e.StoreValue());
        SetOverflow(e, e =>
        {
            PushSignedWide(e, a, size);
            PushSignedWide(e, b, size);
            e.Il.Emit(OpCodes.Mul);
            LocalBuilder product = e.StoreTemp64();
            PushOverflow(e, product, size, signed: true);
        });
        return true;
    }

    public static bool Div(InstructionEmitter e, in Instruction i)
    {
        int size = InstructionEmitter.SizeOf(i, 0);
        Value divisor = e.Source(i, 0, size);
        Label exit = e.SideExit(SideExitKind.Divide);

        // The quotient fits where the upper half is below the divisor; that covers a divisor of 0.
        PushUpper(e, size);
        e.Push(divisor);
        e.Il.Emit(OpCodes.Bge_Un, exit);
        PushDividend(e, size);
        LocalBuilder dividend = e.StoreTemp64();
        e.PushWide(divisor);
        LocalBuilder wide = e.StoreTemp64();
        e.Il.Emit(OpCodes.Ldloc, dividend);
        e.Il.Emit(OpCodes.Ldloc, wide);
        e.Il.Emit(OpCodes.Div_Un);
        LocalBuilder quotient = e.StoreTemp64();
        StoreQuotient(e, size, dividend, wide, quotient);
        return true;
    }

    public static bool Idiv(InstructionEmitter e, in Instruction i)
    {
        int size = InstructionEmitter.SizeOf(i, 0);
        Value divisor = e.Source(i, 0, size);
        Label exit = e.SideExit(SideExitKind.Divide);

        // 0 and -1 are the interpreter's: -1 overflows the host's division for the most negative dividend.
        e.PushSigned(divisor, size);
        e.Constant(1);
        e.Il.Emit(OpCodes.Add);
        e.Constant(1);
        e.Il.Emit(OpCodes.Ble_Un, exit);
        PushDividend(e, size);
        if (size < 4)
        {
            e.Il.Emit(size == 1 ? OpCodes.Conv_I2 : OpCodes.Conv_I4);
            e.Il.Emit(OpCodes.Conv_I8);
        }

        LocalBuilder dividend = e.StoreTemp64();
        PushSignedWide(e, divisor, size);
        LocalBuilder wide = e.StoreTemp64();
        e.Il.Emit(OpCodes.Ldloc, dividend);
        e.Il.Emit(OpCodes.Ldloc, wide);
        e.Il.Emit(OpCodes.Div);
        LocalBuilder quotient = e.StoreTemp64();
        e.Il.Emit(OpCodes.Ldloc, quotient);
        e.Il.Emit(size switch { 1 => OpCodes.Conv_I1, 2 => OpCodes.Conv_I2, _ => OpCodes.Conv_I4 });
        e.Il.Emit(OpCodes.Conv_I8);
        e.Il.Emit(OpCodes.Ldloc, quotient);
        e.Il.Emit(OpCodes.Bne_Un, exit);
        StoreQuotient(e, size, dividend, wide, quotient);
        return true;
    }

    private static Register Accumulator(int size) => size switch { 1 => Register.AL, 2 => Register.AX, _ => Register.EAX };

    private static void PushSignedWide(InstructionEmitter e, Value value, int size)
    {
        e.PushSigned(value, size);
        e.Il.Emit(OpCodes.Conv_I8);
    }

    private static void PushUpper(InstructionEmitter e, int size) =>
        e.PushRegister(size switch { 1 => Register.AH, 2 => Register.DX, _ => Register.EDX });

    private static void PushDividend(InstructionEmitter e, int size)
    {
        if (size == 1)
        {
            e.PushRegister(Register.AX);
            e.Il.Emit(OpCodes.Conv_U8);
            return;
        }

        e.PushWide(e.RegisterValue(size == 2 ? Register.DX : Register.EDX));
        e.Constant(size * 8);
        e.Il.Emit(OpCodes.Shl);
        e.PushWide(e.RegisterValue(Accumulator(size)));
        e.Il.Emit(OpCodes.Or);
    }

    private static bool WideProduct(InstructionEmitter e, int size, bool signed)
    {
        LocalBuilder product = e.StoreTemp64();
        e.Il.Emit(OpCodes.Ldloc, product);
        e.Il.Emit(OpCodes.Conv_I4);
        Value low = e.StoreValue();
        if (size == 1)
        {
            e.SetRegister(Register.AX, low);
        }
        else
        {
            e.Il.Emit(OpCodes.Ldloc, product);
            e.Constant(size * 8);
            e.Il.Emit(OpCodes.Shr_Un);
            e.Il.Emit(OpCodes.Conv_I4);
            Value high = e.StoreValue();
            e.SetRegister(Accumulator(size), low);
            e.SetRegister(size == 2 ? Register.DX : Register.EDX, high);
        }

        SetOverflow(e, e => PushOverflow(e, product, size, signed));
        return true;
    }

    /// <summary>Pushes 1 where the product does not fit in its lower half.</summary>
    private static void PushOverflow(InstructionEmitter e, LocalBuilder product, int size, bool signed)
    {
        e.Il.Emit(OpCodes.Ldloc, product);
        if (signed)
        {
            e.Il.Emit(OpCodes.Ldloc, product);
            e.Il.Emit(size switch { 1 => OpCodes.Conv_I1, 2 => OpCodes.Conv_I2, _ => OpCodes.Conv_I4 });
            e.Il.Emit(OpCodes.Conv_I8);
        }
        else
        {
            e.Constant(size * 8);
            e.Il.Emit(OpCodes.Shr_Un);
            e.Il.Emit(OpCodes.Ldc_I8, 0L);
        }

        Comparison.NotEqual.EmitBoolean(e.Il);
    }

    /// <summary>CF and OF tell whether the product is too wide; the others stay.</summary>
    private static void SetOverflow(InstructionEmitter e, Action<InstructionEmitter> pushOverflow) =>
        e.SetFlags(new ComputedFlags(
            (e, earlier) =>
            {
                earlier.PushStatus(e);
                e.Constant(~(Flags.Cf | Flags.Of));
                e.Il.Emit(OpCodes.And);
                pushOverflow(e);
                e.Constant((int)(Flags.Cf | Flags.Of));
                e.Il.Emit(OpCodes.Mul);
                e.Il.Emit(OpCodes.Or);
            },
            e.Flags,
            carry: pushOverflow));

    private static void StoreQuotient(InstructionEmitter e, int size, LocalBuilder dividend, LocalBuilder divisor, LocalBuilder quotient)
    {
        // The remainder from the quotient: a multiplication is cheaper than what RyuJIT makes of a second division.
        e.Il.Emit(OpCodes.Ldloc, dividend);
        e.Il.Emit(OpCodes.Ldloc, quotient);
        e.Il.Emit(OpCodes.Ldloc, divisor);
        e.Il.Emit(OpCodes.Mul);
        e.Il.Emit(OpCodes.Sub);
        e.Il.Emit(OpCodes.Conv_I4);
        Value remainder = e.StoreValue();
        e.Il.Emit(OpCodes.Ldloc, quotient);
        e.Il.Emit(OpCodes.Conv_I4);
        Value low = e.StoreValue();
        e.SetRegister(Accumulator(size), low);
        e.SetRegister(size switch { 1 => Register.AH, 2 => Register.DX, _ => Register.EDX }, remainder);
        e.SetFlags(new ComputedFlags(
            (e, earlier) =>
            {
                earlier.PushStatus(e);
                e.Constant((int)(Flags.Cf | Flags.Of));
                e.Il.Emit(OpCodes.And);
                e.Constant((int)Flags.Af);
                e.Il.Emit(OpCodes.Or);
            },
            e.Flags));
    }
}
