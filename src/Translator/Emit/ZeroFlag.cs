using System.Reflection.Emit;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit;

/// <summary>The earlier flags with ZF from a value.</summary>
internal sealed class ZeroFlag(int size, Value value, FlagValue before) : FlagValue
{
    public override int Depth => before.Depth + 1;

    public override Comparison PushComparison(InstructionEmitter e, ConditionCode condition) =>
        condition is ConditionCode.e or ConditionCode.ne
            ? FromResult(e, value, size, condition)!.Value
            : base.PushComparison(e, condition);

    public override void PushCarry(InstructionEmitter e) => before.PushCarry(e);

    public override void PushStatus(InstructionEmitter e)
    {
        before.PushStatus(e);
        e.Constant(~Flags.Zf);
        e.Il.Emit(OpCodes.And);
        e.Push(value);
        e.Constant(0);
        e.Il.Emit(OpCodes.Ceq);
        e.Constant(6);
        e.Il.Emit(OpCodes.Shl);
        e.Il.Emit(OpCodes.Or);
    }

    public override void Store(InstructionEmitter e) => StoreStatus(e);

    public override FlagValue Preserve(InstructionEmitter e, int register)
    {
        FlagValue kept = before.Preserve(e, register);
        return ReferenceEquals(kept, before) ? this : new ZeroFlag(size, value, kept);
    }
}
