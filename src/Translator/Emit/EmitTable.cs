using Dbt.Translator.Emit.Routines;
using Dbt.Translator.Instructions;
using Iced.Intel;

namespace Dbt.Translator.Emit;

/// <summary>The translator's routines by mnemonic.</summary>
internal static class EmitTable
{
    private static readonly EmitRoutine?[] Routines = Make();

    /// <summary>The routine of an instruction; null where it is the interpreter's.</summary>
    public static EmitRoutine? Lookup(in Instruction instruction) =>
        InstructionTable.FormOf(instruction) == InstructionForm.General ? Routines[(int)instruction.Mnemonic] : null;

    private static EmitRoutine?[] Make()
    {
        var table = new EmitRoutine?[(int)Enum.GetValues<Mnemonic>().Max() + 1];
        void Set(EmitRoutine routine, params ReadOnlySpan<Mnemonic> mnemonics)
        {
            foreach (Mnemonic mnemonic in mnemonics)
            {
                table[(int)mnemonic] = routine;
            }
        }

        Set(EmitMoves.Nop, Mnemonic.Nop);
        Set(EmitMoves.Mov, Mnemonic.Mov);
        Set(EmitMoves.Movzx, Mnemonic.Movzx);
        Set(EmitMoves.Movsx, Mnemonic.Movsx);
        Set(EmitMoves.Lea, Mnemonic.Lea);
        Set(EmitMoves.Xchg, Mnemonic.Xchg);
        Set(EmitMoves.Bswap, Mnemonic.Bswap);
        Set(EmitMoves.Cbw, Mnemonic.Cbw);
        Set(EmitMoves.Cwde, Mnemonic.Cwde);
        Set(EmitMoves.Cwd, Mnemonic.Cwd);
        Set(EmitMoves.Cdq, Mnemonic.Cdq);
        Set(EmitMoves.Setcc, Mnemonic.Seto, Mnemonic.Setno, Mnemonic.Setb, Mnemonic.Setae, Mnemonic.Sete, Mnemonic.Setne, Mnemonic.Setbe, Mnemonic.Seta,
            Mnemonic.Sets, Mnemonic.Setns, Mnemonic.Setp, Mnemonic.Setnp, Mnemonic.Setl, Mnemonic.Setge, Mnemonic.Setle, Mnemonic.Setg);
        Set(EmitMoves.Cmovcc, Mnemonic.Cmovo, Mnemonic.Cmovno, Mnemonic.Cmovb, Mnemonic.Cmovae, Mnemonic.Cmove, Mnemonic.Cmovne, Mnemonic.Cmovbe,
            Mnemonic.Cmova, Mnemonic.Cmovs, Mnemonic.Cmovns, Mnemonic.Cmovp, Mnemonic.Cmovnp, Mnemonic.Cmovl, Mnemonic.Cmovge, Mnemonic.Cmovle, Mnemonic.Cmovg);
        Set(EmitArithmetic.Add, Mnemonic.Add);
        Set(EmitArithmetic.Sub, Mnemonic.Sub);
        Set(EmitArithmetic.And, Mnemonic.And);
        Set(EmitArithmetic.Or, Mnemonic.Or);
        Set(EmitArithmetic.Xor, Mnemonic.Xor);
        Set(EmitArithmetic.Adc, Mnemonic.Adc);
        Set(EmitArithmetic.Sbb, Mnemonic.Sbb);
        Set(EmitArithmetic.Cmp, Mnemonic.Cmp);
        Set(EmitArithmetic.Test, Mnemonic.Test);
        Set(EmitArithmetic.Inc, Mnemonic.Inc);
        Set(EmitArithmetic.Dec, Mnemonic.Dec);
        Set(EmitArithmetic.Neg, Mnemonic.Neg);
        Set(EmitArithmetic.Not, Mnemonic.Not);
        Set(EmitShifts.Shl, Mnemonic.Shl, Mnemonic.Sal);
        Set(EmitShifts.Shr, Mnemonic.Shr);
        Set(EmitShifts.Sar, Mnemonic.Sar);
        Set(EmitShifts.Rol, Mnemonic.Rol);
        Set(EmitShifts.Ror, Mnemonic.Ror);
        Set(EmitShifts.Rcl, Mnemonic.Rcl);
        Set(EmitShifts.Rcr, Mnemonic.Rcr);
        Set(EmitShifts.Shld, Mnemonic.Shld);
        Set(EmitShifts.Shrd, Mnemonic.Shrd);
        Set(EmitMultiply.Mul, Mnemonic.Mul);
        Set(EmitMultiply.Imul, Mnemonic.Imul);
        Set(EmitMultiply.Div, Mnemonic.Div);
        Set(EmitMultiply.Idiv, Mnemonic.Idiv);
        Set(EmitStack.Push, Mnemonic.Push);
        Set(EmitStack.Pop, Mnemonic.Pop);
        Set(EmitStack.Leave, Mnemonic.Leave);
        Set(EmitStack.Pushfd, Mnemonic.Pushfd);
        Set(EmitFlow.Jmp, Mnemonic.Jmp);
        Set(EmitFlow.Call, Mnemonic.Call);
        Set(EmitFlow.Ret, Mnemonic.Ret);
        Set(EmitFlow.Jecxz, Mnemonic.Jecxz);
        Set(EmitFlow.Loop, Mnemonic.Loop, Mnemonic.Loope, Mnemonic.Loopne);
        Set(EmitFlow.Jcc, Mnemonic.Jo, Mnemonic.Jno, Mnemonic.Jb, Mnemonic.Jae, Mnemonic.Je, Mnemonic.Jne, Mnemonic.Jbe, Mnemonic.Ja,
            Mnemonic.Js, Mnemonic.Jns, Mnemonic.Jp, Mnemonic.Jnp, Mnemonic.Jl, Mnemonic.Jge, Mnemonic.Jle, Mnemonic.Jg);
        Set(EmitBits.Bt, Mnemonic.Bt);
        Set(EmitBits.Bts, Mnemonic.Bts);
        Set(EmitBits.Btr, Mnemonic.Btr);
        Set(EmitBits.Btc, Mnemonic.Btc);
        Set(EmitBits.Bsf, Mnemonic.Bsf);
        Set(EmitBits.Bsr, Mnemonic.Bsr);
        Set(EmitBits.Clc, Mnemonic.Clc);
        Set(EmitBits.Stc, Mnemonic.Stc);
        Set(EmitBits.Cmc, Mnemonic.Cmc);
        Set(EmitBits.Cld, Mnemonic.Cld);
        Set(EmitBits.Std, Mnemonic.Std);
        Set(EmitBits.Lahf, Mnemonic.Lahf);
        Set(EmitBits.Sahf, Mnemonic.Sahf);
        Set(EmitLocked.Xadd, Mnemonic.Xadd);
        Set(EmitLocked.Cmpxchg, Mnemonic.Cmpxchg);
        Set(EmitLocked.Cmpxchg8b, Mnemonic.Cmpxchg8b);
        Set(EmitStrings.Movs, Mnemonic.Movsb, Mnemonic.Movsw, Mnemonic.Movsd);
        Set(EmitStrings.Lods, Mnemonic.Lodsb, Mnemonic.Lodsw, Mnemonic.Lodsd);
        Set(EmitStrings.Stos, Mnemonic.Stosb, Mnemonic.Stosw, Mnemonic.Stosd);
        Set(EmitStrings.Scas, Mnemonic.Scasb, Mnemonic.Scasw, Mnemonic.Scasd);
        Set(EmitStrings.Cmps, Mnemonic.Cmpsb, Mnemonic.Cmpsw, Mnemonic.Cmpsd);
        return table;
    }
}
