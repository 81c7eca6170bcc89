using Iced.Intel;

namespace Dbt.Translator.Protection;

/// <summary>What the forms of IN, OUT, INS and OUTS move (SDM vol. 2).</summary>
public static class PortInstruction
{
    /// <summary>Bytes moved (0: no port instruction), and whether the port is an immediate, data comes in, memory is the other side.</summary>
    public static (int Size, bool IsImmediate, bool IsInput, bool IsString) Shape(Code code) => code switch
    {
        Code.In_AL_imm8 => (1, true, true, false),
        Code.In_AX_imm8 => (2, true, true, false),
        Code.In_EAX_imm8 => (4, true, true, false),
        Code.In_AL_DX => (1, false, true, false),
        Code.In_AX_DX => (2, false, true, false),
        Code.In_EAX_DX => (4, false, true, false),
        Code.Out_imm8_AL => (1, true, false, false),
        Code.Out_imm8_AX => (2, true, false, false),
        Code.Out_imm8_EAX => (4, true, false, false),
        Code.Out_DX_AL => (1, false, false, false),
        Code.Out_DX_AX => (2, false, false, false),
        Code.Out_DX_EAX => (4, false, false, false),
        Code.Insb_m8_DX => (1, false, true, true),
        Code.Insw_m16_DX => (2, false, true, true),
        Code.Insd_m32_DX => (4, false, true, true),
        Code.Outsb_DX_m8 => (1, false, false, true),
        Code.Outsw_DX_m16 => (2, false, false, true),
        Code.Outsd_DX_m32 => (4, false, false, true),
        _ => default,
    };
}
