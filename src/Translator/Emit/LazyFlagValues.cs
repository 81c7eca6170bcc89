using System.Reflection.Emit;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit;

/// <summary>The flags are in the processor's state, whatever they are.</summary>
internal sealed class StateFlags : FlagValue
{
    public static readonly StateFlags Instance = new();

    public override int Depth => 0;

    public override Comparison PushComparison(InstructionEmitter e, ConditionCode condition)
    {
        e.Il.Emit(OpCodes.Ldarg_0);
        e.Constant((int)condition - 1);
        e.Il.Emit(OpCodes.Call, EmitMethods.Condition);
        e.Constant(0);
        return Comparison.NotEqual;
    }

    public override void PushCarry(InstructionEmitter e)
    {
        e.Il.Emit(OpCodes.Ldarg_0);
        e.Il.Emit(OpCodes.Call, EmitMethods.Carry);
    }

    public override void PushStatus(InstructionEmitter e)
    {
        e.Il.Emit(OpCodes.Ldarg_0);
        e.Il.Emit(OpCodes.Call, EmitMethods.Status);
    }

    public override void Store(InstructionEmitter e)
    {
    }

    public override FlagValue Preserve(InstructionEmitter e, int register) => this;
}

/// <summary>Flags of <c>Result = a + B</c>; a is recovered as Result - B.</summary>
internal sealed class AddFlags(int size, Value b, Value result) : FlagValue
{
    public override Comparison PushComparison(InstructionEmitter e, ConditionCode condition)
    {
        if (FromResult(e, result, size, condition) is { } simple)
        {
            return simple;
        }

        ILGenerator il = e.Il;
        switch (condition)
        {
            case ConditionCode.b or ConditionCode.ae:
                e.Push(result);
                e.Push(b);
                return condition == ConditionCode.b ? Comparison.Below : Comparison.AboveEqual;
            case ConditionCode.be or ConditionCode.a:
                PushCarry(e);
                e.Push(result);
                e.Constant(0);
                il.Emit(OpCodes.Ceq);
                il.Emit(OpCodes.Or);
                e.Constant(0);
                return condition == ConditionCode.be ? Comparison.NotEqual : Comparison.Equal;
            case ConditionCode.l or ConditionCode.ge or ConditionCode.le or ConditionCode.g:
                // The true sum does not overflow in 64 bits, so its sign is SF xor OF.
                PushA(e);
                Sign(e);
                il.Emit(OpCodes.Conv_I8);
                e.PushSigned(b, size);
                il.Emit(OpCodes.Conv_I8);
                il.Emit(OpCodes.Add);
                il.Emit(OpCodes.Ldc_I8, 0L);
                // ZF is of the truncated result, which differs from the true sum being 0 only on a negative overflow: LE then too.
                return Signed(condition);
            default:
                return base.PushComparison(e, condition);
        }
    }

    public override void PushCarry(InstructionEmitter e)
    {
        e.Push(result);
        e.Push(b);
        e.Il.Emit(OpCodes.Clt_Un);
    }

    public override void PushStatus(InstructionEmitter e)
    {
        PushA(e);
        e.Push(b);
        e.Push(result);
        e.Constant(size);
        e.Il.Emit(OpCodes.Call, EmitMethods.AddStatus);
    }

    public override void Store(InstructionEmitter e)
    {
        StoreLazy(e, FlagOperation.Add, size);
        e.StoreState(StateLayout.FlagA, () => PushA(e));
        e.StoreState(StateLayout.FlagB, () => e.Push(b));
        e.StoreState(StateLayout.FlagResult, () => e.Push(result));
    }

    public override FlagValue Preserve(InstructionEmitter e, int register) =>
        b.IsRegister(register) || result.IsRegister(register)
            ? new AddFlags(size, e.Keep(b, register), e.Keep(result, register))
            : this;

    private void PushA(InstructionEmitter e)
    {
        e.Push(result);
        e.Push(b);
        e.Il.Emit(OpCodes.Sub);
        e.Truncate(size);
    }

    private void Sign(InstructionEmitter e)
    {
        if (size < 4)
        {
            e.Il.Emit(size == 1 ? OpCodes.Conv_I1 : OpCodes.Conv_I2);
        }
    }
}

/// <summary>Flags of <c>A - B</c>. The result is known for SUB, and computed where wanted for CMP.</summary>
internal sealed class SubtractFlags(int size, Value a, Value b, Value? result) : FlagValue
{
    public override Comparison PushComparison(InstructionEmitter e, ConditionCode condition)
    {
        switch (condition)
        {
            case ConditionCode.e or ConditionCode.ne when result is null:
                return Compare(condition == ConditionCode.e ? Comparison.Equal : Comparison.NotEqual);
            case ConditionCode.b:
                return Compare(Comparison.Below);
            case ConditionCode.ae:
                return Compare(Comparison.AboveEqual);
            case ConditionCode.be:
                return Compare(Comparison.BelowEqual);
            case ConditionCode.a:
                return Compare(Comparison.Above);
            case ConditionCode.l or ConditionCode.ge or ConditionCode.le or ConditionCode.g:
                e.PushSigned(a, size);
                e.PushSigned(b, size);
                return Signed(condition);
            case ConditionCode.s or ConditionCode.ns or ConditionCode.p or ConditionCode.np or ConditionCode.e or ConditionCode.ne:
                Value difference = result ?? Difference(e);
                return FromResult(e, difference, size, condition)!.Value;
            default:
                return base.PushComparison(e, condition);
        }

        Comparison Compare(Comparison comparison)
        {
            e.Push(a);
            e.Push(b);
            return comparison;
        }
    }

    public override void PushCarry(InstructionEmitter e)
    {
        e.Push(a);
        e.Push(b);
        e.Il.Emit(OpCodes.Clt_Un);
    }

    public override void PushStatus(InstructionEmitter e)
    {
        e.Push(a);
        e.Push(b);
        PushResult(e);
        e.Constant(size);
        e.Il.Emit(OpCodes.Call, EmitMethods.SubtractStatus);
    }

    public override void Store(InstructionEmitter e)
    {
        StoreLazy(e, FlagOperation.Subtract, size);
        e.StoreState(StateLayout.FlagA, () => PushA(e));
        e.StoreState(StateLayout.FlagB, () => e.Push(b));
        e.StoreState(StateLayout.FlagResult, () => PushResult(e));
    }

    public override FlagValue Preserve(InstructionEmitter e, int register) =>
        a.IsRegister(register) || b.IsRegister(register) || result is { } r && r.IsRegister(register)
            ? new SubtractFlags(size, e.Keep(a, register), e.Keep(b, register), result is { } r2 ? e.Keep(r2, register) : null)
            : this;

    private Value Difference(InstructionEmitter e)
    {
        PushResult(e);
        return Value.Local(e.StoreTemp());
    }

    private void PushResult(InstructionEmitter e)
    {
        if (result is { } known)
        {
            e.Push(known);
            return;
        }

        e.Push(a);
        e.Push(b);
        e.Il.Emit(OpCodes.Sub);
        e.Truncate(size);
    }

    // Only exits ask: from the result where there is one, so that the old first operand need not stay in a host register.
    private void PushA(InstructionEmitter e)
    {
        if (result is not { } known)
        {
            e.Push(a);
            return;
        }

        e.Push(known);
        e.Push(b);
        e.Il.Emit(OpCodes.Add);
        e.Truncate(size);
    }
}

/// <summary>Flags of AND, OR, XOR and TEST.</summary>
internal sealed class LogicFlags(int size, Value result) : FlagValue
{
    public override Comparison PushComparison(InstructionEmitter e, ConditionCode condition)
    {
        switch (condition)
        {
            case ConditionCode.be:
                return FromResult(e, result, size, ConditionCode.e)!.Value;
            case ConditionCode.a:
                return FromResult(e, result, size, ConditionCode.ne)!.Value;
            case ConditionCode.l or ConditionCode.ge or ConditionCode.le or ConditionCode.g:
                e.PushSigned(result, size);
                e.Constant(0);
                return Signed(condition);
            case ConditionCode.b or ConditionCode.ae or ConditionCode.o or ConditionCode.no:
                e.Constant(0);
                e.Constant(0);
                return condition is ConditionCode.b or ConditionCode.o ? Comparison.NotEqual : Comparison.Equal;
            default:
                return FromResult(e, result, size, condition)!.Value;
        }
    }

    public override void PushCarry(InstructionEmitter e) => e.Constant(0);

    public override void PushStatus(InstructionEmitter e)
    {
        e.Push(result);
        e.Constant(size);
        e.Il.Emit(OpCodes.Call, EmitMethods.ResultStatus);
    }

    public override void Store(InstructionEmitter e)
    {
        StoreLazy(e, FlagOperation.Logic, size);
        e.StoreState(StateLayout.FlagResult, () => e.Push(result));
    }

    public override FlagValue Preserve(InstructionEmitter e, int register) =>
        result.IsRegister(register) ? new LogicFlags(size, e.Keep(result, register)) : this;
}

/// <summary>Flags of INC and DEC, which keep CF from before.</summary>
internal sealed class StepFlags(int size, bool increment, Value result, FlagValue before) : FlagValue
{
    public override int Depth => before.Depth + 1;

    public override Comparison PushComparison(InstructionEmitter e, ConditionCode condition)
    {
        if (FromResult(e, result, size, condition) is { } simple)
        {
            return simple;
        }

        switch (condition)
        {
            case ConditionCode.b or ConditionCode.ae:
                PushCarry(e);
                e.Constant(0);
                return condition == ConditionCode.b ? Comparison.NotEqual : Comparison.Equal;
            case ConditionCode.o or ConditionCode.no:
                e.Push(result);
                e.Constant(increment ? Minimum : (int)((1u << ((size * 8) - 1)) - 1));
                return condition == ConditionCode.o ? Comparison.Equal : Comparison.NotEqual;
            case ConditionCode.l or ConditionCode.ge or ConditionCode.le or ConditionCode.g:
                // The true result: the wrapped operand, sign-extended, plus or minus one, in 64 bits.
                e.Push(result);
                e.Constant(1);
                e.Il.Emit(increment ? OpCodes.Sub : OpCodes.Add);
                if (size < 4)
                {
                    e.Il.Emit(size == 1 ? OpCodes.Conv_I1 : OpCodes.Conv_I2);
                }

                e.Il.Emit(OpCodes.Conv_I8);
                e.Il.Emit(OpCodes.Ldc_I8, increment ? -1L : 1L);
                return Signed(condition);
            default:
                return base.PushComparison(e, condition);
        }
    }

    public override void PushCarry(InstructionEmitter e) => before.PushCarry(e);

    public override void PushStatus(InstructionEmitter e)
    {
        e.Push(result);
        before.PushCarry(e);
        e.Constant(size);
        e.Il.Emit(OpCodes.Call, increment ? EmitMethods.IncrementStatus : EmitMethods.DecrementStatus);
    }

    public override void Store(InstructionEmitter e)
    {
        // CF first: it may have to be read from the state that is about to change.
        e.StoreState(StateLayout.FlagB, () => before.PushCarry(e));
        StoreLazy(e, increment ? FlagOperation.Increment : FlagOperation.Decrement, size);
        e.StoreState(StateLayout.FlagResult, () => e.Push(result));
    }

    public override FlagValue Preserve(InstructionEmitter e, int register)
    {
        FlagValue kept = before.Preserve(e, register);
        return ReferenceEquals(kept, before) && !result.IsRegister(register)
            ? this
            : new StepFlags(size, increment, e.Keep(result, register), kept);
    }

    private int Minimum => (int)(1u << ((size * 8) - 1));
}
