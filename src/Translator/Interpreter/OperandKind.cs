namespace Dbt.Translator.Interpretation;

/// <summary>Where an operand of a <see cref="DecodedInstruction"/> is.</summary>
internal enum OperandKind : byte
{
    /// <summary>No such operand.</summary>
    None,

    /// <summary>A general register; its number is a byte offset into the state's registers (AH is 1).</summary>
    Register,

    /// <summary>The immediate.</summary>
    Immediate,

    /// <summary>Memory.</summary>
    Memory,

    /// <summary>Another register (segment, control, debug, MMX, XMM, x87), by number.</summary>
    Other,
}
