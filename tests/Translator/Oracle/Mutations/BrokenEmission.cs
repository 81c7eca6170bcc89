using Dbt.Translator.Emit;
using Dbt.Translator.Emit.Routines;
using Iced.Intel;

namespace Dbt.Tests.Translator.Oracle.Mutations;

/// <summary>Translator's routines that are wrong in one respect.</summary>
internal static class BrokenEmission
{
    /// <summary>SBB's flags, and its result, are evaluated as SUB's.</summary>
    public static bool BorrowIgnored(InstructionEmitter e, in Instruction i) => EmitArithmetic.Sub(e, i);

    /// <summary>ADD's flags are taken for dead: those of before stay.</summary>
    public static bool FlagsDead(InstructionEmitter e, in Instruction i)
    {
        bool emitted = EmitArithmetic.Add(e, i);
        e.SetFlags(StateFlags.Instance);
        return emitted;
    }

    /// <summary>A register that XOR wrote is not stored where the translation is left.</summary>
    public static bool NotWrittenBack(InstructionEmitter e, in Instruction i)
    {
        bool emitted = EmitArithmetic.Xor(e, i);
        if (i.Op0Kind == OpKind.Register)
        {
            e.WrittenRegisters &= ~(1 << InstructionEmitter.NumberOf(i.Op0Register));
        }

        return emitted;
    }

    /// <summary>CMP is translated as TEST: carry and overflow lost.</summary>
    public static bool CompareWithoutCarry(InstructionEmitter e, in Instruction i) => EmitArithmetic.Test(e, i);

    /// <summary>INC is translated as DEC.</summary>
    public static bool StepsDown(InstructionEmitter e, in Instruction i) => EmitArithmetic.Dec(e, i);

    /// <summary>ADC's carry in is lost.</summary>
    public static bool CarryIgnored(InstructionEmitter e, in Instruction i) => EmitArithmetic.Add(e, i);
}
