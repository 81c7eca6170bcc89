using System.Reflection.Emit;
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

    /// <summary>PADDD on MMX registers subtracts.</summary>
    public static bool MmxSubtracts(InstructionEmitter e, in Instruction i) => EmitSimd.Find(EmitMmx.IsMmx(i) ? Mnemonic.Psubd : Mnemonic.Paddd)!(e, i);

    /// <summary>EMMS ends MMX mode, but leaves all registers valid.</summary>
    public static bool EmptyKeepsTags(InstructionEmitter e, in Instruction i)
    {
        e.EnterMmx();
        e.LeaveMmx();
        return true;
    }

    /// <summary>An MMX register that PXOR wrote is not stored where the translation is left.</summary>
    public static bool MmxNotWrittenBack(InstructionEmitter e, in Instruction i)
    {
        bool emitted = EmitSimd.Find(Mnemonic.Pxor)!(e, i);
        if (EmitMmx.IsMmx(i))
        {
            e.WrittenVectors &= ~(1 << InstructionEmitter.VectorNumber(i.Op0Register));
        }

        return emitted;
    }

    /// <summary>MOVNTQ stores what the area holds, and leaves TOP and tags as they are.</summary>
    public static bool StoreStaysOutOfMmx(InstructionEmitter e, in Instruction i)
    {
        LocalBuilder host = e.Host(i, 8, write: true);
        int from = InstructionEmitter.VectorNumber(i.Op1Register) - InstructionEmitter.VectorNumber(Register.MM0);
        e.StoreVector(host, 8, () =>
        {
            e.LoadState(StateLayout.Mm(from), OpCodes.Ldind_R8);
            e.Il.Emit(OpCodes.Call, VectorMethods.CreateDoubleUnsafe);
        });
        return true;
    }

    /// <summary>LDMXCSR only reads its operand.</summary>
    public static bool ControlNotLoaded(InstructionEmitter e, in Instruction i)
    {
        e.Source(i, 0, 4);
        return true;
    }

    /// <summary>PCMPISTRI's flags are those of before.</summary>
    public static bool FlagsStay(InstructionEmitter e, in Instruction i)
    {
        bool emitted = EmitSimd.Find(Mnemonic.Pcmpistri)!(e, i);
        e.SetFlags(StateFlags.Instance);
        return emitted;
    }

    /// <summary>ADC's carry in is lost.</summary>
    public static bool CarryIgnored(InstructionEmitter e, in Instruction i) => EmitArithmetic.Add(e, i);
}
