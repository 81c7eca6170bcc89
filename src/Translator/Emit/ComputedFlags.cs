using System.Reflection.Emit;
using Iced.Intel;

namespace Dbt.Translator.Emit;

/// <summary>
/// Flags that a routine of ours computes from saved operands when asked: shifts, rotates, multiplication, bit tests, ADC and SBB.
/// </summary>
/// <param name="push">Pushes the six status flags; uses locals, constants and the earlier flags it is given, never guest registers.</param>
/// <param name="before">The flags before the instruction, where <paramref name="push"/> needs them.</param>
/// <param name="result">Result (a local) from which ZF, SF and PF come, where that holds for every operand.</param>
/// <param name="size">Its size in bytes.</param>
/// <param name="carry">Pushes CF as 0 or 1, where that is cheaper than from the status.</param>
internal sealed class ComputedFlags(
    Action<InstructionEmitter, FlagValue> push,
    FlagValue? before = null,
    Value? result = null,
    int size = 4,
    Action<InstructionEmitter>? carry = null) : FlagValue
{
    public override int Depth => 1 + (before?.Depth ?? 0);

    public override Comparison PushComparison(InstructionEmitter e, ConditionCode condition)
    {
        if (carry is not null && condition is ConditionCode.b or ConditionCode.ae)
        {
            PushCarry(e);
            e.Constant(0);
            return condition == ConditionCode.b ? Comparison.NotEqual : Comparison.Equal;
        }

        return result is { } known && FromResult(e, known, size, condition) is { } simple
            ? simple
            : base.PushComparison(e, condition);
    }

    public override void PushCarry(InstructionEmitter e)
    {
        if (carry is not null)
        {
            carry(e);
            return;
        }

        PushStatus(e);
        e.Constant(1);
        e.Il.Emit(OpCodes.And);
    }

    public override void PushStatus(InstructionEmitter e) => push(e, before ?? StateFlags.Instance);

    public override void Store(InstructionEmitter e) => StoreStatus(e);

    public override FlagValue Preserve(InstructionEmitter e, int register)
    {
        FlagValue? kept = before?.Preserve(e, register);
        return ReferenceEquals(kept, before) ? this : new ComputedFlags(push, kept, result, size, carry);
    }
}
