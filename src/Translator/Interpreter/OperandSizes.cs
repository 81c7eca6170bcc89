using Iced.Intel;

namespace Dbt.Translator.Interpretation;

/// <summary>Operand sizes that an instruction's operands do not show.</summary>
internal static class OperandSizes
{
    /// <summary>Bytes of an operand: its register's, its memory's, or that of the immediate where it is alone; 0 where it has none.</summary>
    public static int OfOperand(in Instruction instruction, int index)
    {
        if (index >= instruction.OpCount)
        {
            return 0;
        }

        return instruction.GetOpKind(index) switch
        {
            OpKind.Register => instruction.GetOpRegister(index).GetSize(),
            OpKind.Memory or (>= OpKind.MemorySegSI and <= OpKind.MemoryESRDI) => Math.Min(255, instruction.MemorySize.GetSize()),
            _ => 0,
        };
    }

    /// <summary>The operand size of instructions with implied operands: 2 or 4; 0 for all others.</summary>
    public static int Implied(Code code)
    {
        switch (code)
        {
            case Code.Pushaw or Code.Popaw or Code.Pushfw or Code.Popfw or Code.Leavew or Code.Enterw_imm16_imm8
                or Code.Retnw or Code.Retnw_imm16 or Code.Retfw or Code.Retfw_imm16 or Code.Iretw
                or Code.Push_imm16 or Code.Pushw_imm8 or Code.Pushw_CS or Code.Pushw_DS or Code.Pushw_ES or Code.Pushw_SS
                or Code.Pushw_FS or Code.Pushw_GS or Code.Popw_DS or Code.Popw_ES or Code.Popw_SS or Code.Popw_FS or Code.Popw_GS
                or Code.Call_m1616 or Code.Jmp_m1616 or Code.Sgdt_m1632_16 or Code.Sidt_m1632_16:
                return 2;
            case Code.Pushad or Code.Popad or Code.Pushfd or Code.Popfd or Code.Leaved or Code.Enterd_imm16_imm8
                or Code.Retnd or Code.Retnd_imm16 or Code.Retfd or Code.Retfd_imm16 or Code.Iretd
                or Code.Pushd_imm32 or Code.Pushd_imm8 or Code.Pushd_CS or Code.Pushd_DS or Code.Pushd_ES or Code.Pushd_SS
                or Code.Pushd_FS or Code.Pushd_GS or Code.Popd_DS or Code.Popd_ES or Code.Popd_SS or Code.Popd_FS or Code.Popd_GS
                or Code.Call_m1632 or Code.Jmp_m1632 or Code.Sgdt_m1632 or Code.Sidt_m1632:
                return 4;
            default:
                return 0;
        }
    }

    /// <summary>Whether LOOP or JCXZ counts in CX.</summary>
    public static bool CountsInCx(Code code) => code is
        Code.Jcxz_rel8_16 or Code.Jcxz_rel8_32
        or Code.Loop_rel8_16_CX or Code.Loop_rel8_32_CX or Code.Loope_rel8_16_CX or Code.Loope_rel8_32_CX
        or Code.Loopne_rel8_16_CX or Code.Loopne_rel8_32_CX;
}
