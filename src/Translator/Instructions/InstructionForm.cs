namespace Dbt.Translator.Instructions;

/// <summary>
/// Tells apart instructions that share a mnemonic but nothing else: MOV to a segment register is not MOV to memory,
/// and the SSE2 MOVSD is not the string MOVSD.
/// </summary>
internal enum InstructionForm
{
    /// <summary>The ordinary meaning of the mnemonic.</summary>
    General,

    /// <summary>An operand is a segment register (MOV, PUSH, POP).</summary>
    Segment,

    /// <summary>An operand is a control or debug register (MOV).</summary>
    Control,

    /// <summary>A far transfer (CALL, JMP).</summary>
    Far,

    /// <summary>The SSE2 instruction of that name (MOVSD, CMPSD).</summary>
    Vector,
}
