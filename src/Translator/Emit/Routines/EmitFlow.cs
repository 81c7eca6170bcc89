using System.Reflection.Emit;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

/// <summary>Near jumps, calls and returns. Each ends its block.</summary>
internal static class EmitFlow
{
    public static bool Jmp(InstructionEmitter e, in Instruction i)
    {
        if (i.Op0Kind == OpKind.NearBranch32)
        {
            e.Retire();
            e.GoTo(i.NearBranch32);
            return true;
        }

        return TryTarget(e, i, out Value target) && GoTo(e, target, isReturn: false);
    }

    public static bool Jcc(InstructionEmitter e, in Instruction i)
    {
        e.Retire(i.NearBranch32);
        e.GoToIf(e.Flags.PushComparison(e, i.ConditionCode), i.NearBranch32, e.NextEip);
        return true;
    }

    public static bool Call(InstructionEmitter e, in Instruction i)
    {
        if (i.Op0Kind == OpKind.NearBranch32)
        {
            EmitStack.PushValue(e, Value.Constant((int)e.NextEip));
            e.Retire();
            e.GoTo(i.NearBranch32);
            return true;
        }

        if (!TryTarget(e, i, out Value target))
        {
            return false;
        }

        // CALL ESP goes to the value from before the push.
        target = e.Fixed(target);
        EmitStack.PushValue(e, Value.Constant((int)e.NextEip));
        return GoTo(e, target, isReturn: false);
    }

    public static bool Ret(InstructionEmitter e, in Instruction i)
    {
        if (i.Code is not (Code.Retnd or Code.Retnd_imm16))
        {
            return false;
        }

        Value target = EmitStack.PopValue(e, i.OpCount > 0 ? i.Immediate16 : 0);
        return GoTo(e, target, isReturn: true);
    }

    public static bool Loop(InstructionEmitter e, in Instruction i)
    {
        if (i.Code is not (Code.Loop_rel8_32_ECX or Code.Loope_rel8_32_ECX or Code.Loopne_rel8_32_ECX))
        {
            return false;
        }

        e.Push(Value.Register((int)Gpr.Ecx));
        e.Constant(1);
        e.Il.Emit(OpCodes.Sub);
        Value count = e.StoreValue();
        e.SetRegister(Gpr.Ecx, count);
        e.Retire(i.NearBranch32);
        e.Push(count);
        e.Constant(0);
        if (i.Mnemonic == Mnemonic.Loop)
        {
            e.GoToIf(Comparison.NotEqual, i.NearBranch32, e.NextEip);
            return true;
        }

        Comparison.NotEqual.EmitBoolean(e.Il);
        e.Flags.PushComparison(e, i.Mnemonic == Mnemonic.Loope ? ConditionCode.e : ConditionCode.ne).EmitBoolean(e.Il);
        e.Il.Emit(OpCodes.And);
        e.Constant(0);
        e.GoToIf(Comparison.NotEqual, i.NearBranch32, e.NextEip);
        return true;
    }

    public static bool Jecxz(InstructionEmitter e, in Instruction i)
    {
        if (i.Code != Code.Jecxz_rel8_32)
        {
            return false;
        }

        e.Retire(i.NearBranch32);
        e.Push(Value.Register((int)Gpr.Ecx));
        e.Constant(0);
        e.GoToIf(Comparison.Equal, i.NearBranch32, e.NextEip);
        return true;
    }

    private static bool TryTarget(InstructionEmitter e, in Instruction i, out Value target)
    {
        target = default;
        if (InstructionEmitter.SizeOf(i, 0) != 4)
        {
            return false;
        }

        target = e.Source(i, 0, 4);
        return true;
    }

    private static bool GoTo(InstructionEmitter e, Value target, bool isReturn)
    {
        e.Push(target);
        e.Il.Emit(OpCodes.Stloc, e.EipLocal);
        e.Retire();
        e.GoToIndirect(isReturn);
        return true;
    }
}
