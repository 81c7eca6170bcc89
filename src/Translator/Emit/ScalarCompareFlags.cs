using System.Reflection;
using System.Reflection.Emit;
using Iced.Intel;

namespace Dbt.Translator.Emit;

/// <summary>Comparisons of two scalars; all are false for unordered operands.</summary>
internal sealed record ScalarComparisons(MethodInfo Greater, MethodInfo GreaterOrEqual, MethodInfo Less, MethodInfo LessOrEqual);

/// <summary>Flags of COMISS, COMISD, UCOMISS and UCOMISD: unordered ZF PF CF, less CF, equal ZF; the others 0.</summary>
internal sealed class ScalarCompareFlags(ScalarComparisons methods, LocalBuilder a, LocalBuilder b) : FlagValue
{
    public override Comparison PushComparison(InstructionEmitter e, ConditionCode condition)
    {
        switch (condition)
        {
            case ConditionCode.a or ConditionCode.be:
                Ask(e, methods.Greater);
                e.Constant(0);
                return condition == ConditionCode.a ? Comparison.NotEqual : Comparison.Equal;
            case ConditionCode.ae or ConditionCode.b:
                Ask(e, methods.GreaterOrEqual);
                e.Constant(0);
                return condition == ConditionCode.ae ? Comparison.NotEqual : Comparison.Equal;
            case ConditionCode.e or ConditionCode.ne:
                // Equal or unordered.
                Ask(e, methods.Greater);
                Ask(e, methods.Less);
                e.Il.Emit(OpCodes.Or);
                e.Constant(0);
                return condition == ConditionCode.ne ? Comparison.NotEqual : Comparison.Equal;
            case ConditionCode.p or ConditionCode.np:
                Ask(e, methods.GreaterOrEqual);
                Ask(e, methods.LessOrEqual);
                e.Il.Emit(OpCodes.Or);
                e.Constant(0);
                return condition == ConditionCode.np ? Comparison.NotEqual : Comparison.Equal;
            default:
                return base.PushComparison(e, condition);
        }
    }

    public override void PushCarry(InstructionEmitter e)
    {
        Ask(e, methods.GreaterOrEqual);
        e.Constant(1);
        e.Il.Emit(OpCodes.Xor);
    }

    public override void PushStatus(InstructionEmitter e)
    {
        Ask(e, methods.GreaterOrEqual);
        LocalBuilder greaterOrEqual = e.StoreTemp();
        Ask(e, methods.LessOrEqual);
        LocalBuilder lessOrEqual = e.StoreTemp();
        ILGenerator il = e.Il;

        // CF: not greater or equal.
        il.Emit(OpCodes.Ldloc, greaterOrEqual);
        e.Constant(1);
        il.Emit(OpCodes.Xor);

        // ZF, bit 6: both or neither.
        il.Emit(OpCodes.Ldloc, greaterOrEqual);
        il.Emit(OpCodes.Ldloc, lessOrEqual);
        il.Emit(OpCodes.Ceq);
        e.Constant(6);
        il.Emit(OpCodes.Shl);
        il.Emit(OpCodes.Or);

        // PF, bit 2: neither.
        il.Emit(OpCodes.Ldloc, greaterOrEqual);
        il.Emit(OpCodes.Ldloc, lessOrEqual);
        il.Emit(OpCodes.Or);
        e.Constant(1);
        il.Emit(OpCodes.Xor);
        e.Constant(2);
        il.Emit(OpCodes.Shl);
        il.Emit(OpCodes.Or);
    }

    public override void Store(InstructionEmitter e) => StoreStatus(e);

    public override FlagValue Preserve(InstructionEmitter e, int register) => this;

    private void Ask(InstructionEmitter e, MethodInfo method)
    {
        e.Il.Emit(OpCodes.Ldloc, a);
        e.Il.Emit(OpCodes.Ldloc, b);
        e.Il.Emit(OpCodes.Call, method);
    }
}

/// <summary>Flags of PTEST: ZF and CF; the others 0.</summary>
internal sealed class VectorTestFlags(MethodInfo zero, MethodInfo carry, LocalBuilder a, LocalBuilder b) : FlagValue
{
    public override Comparison PushComparison(InstructionEmitter e, ConditionCode condition)
    {
        if (condition is not (ConditionCode.e or ConditionCode.ne or ConditionCode.b or ConditionCode.ae))
        {
            return base.PushComparison(e, condition);
        }

        Ask(e, condition is ConditionCode.e or ConditionCode.ne ? zero : carry);
        e.Constant(0);
        return condition is ConditionCode.e or ConditionCode.b ? Comparison.NotEqual : Comparison.Equal;
    }

    public override void PushCarry(InstructionEmitter e) => Ask(e, carry);

    public override void PushStatus(InstructionEmitter e)
    {
        Ask(e, carry);
        Ask(e, zero);
        e.Constant(6);
        e.Il.Emit(OpCodes.Shl);
        e.Il.Emit(OpCodes.Or);
    }

    public override void Store(InstructionEmitter e) => StoreStatus(e);

    public override FlagValue Preserve(InstructionEmitter e, int register) => this;

    private void Ask(InstructionEmitter e, MethodInfo method)
    {
        e.Il.Emit(OpCodes.Ldloc, a);
        e.Il.Emit(OpCodes.Ldloc, b);
        e.Il.Emit(OpCodes.Call, method);
    }
}
