namespace Dbt.Translator.Instructions;

/// <summary>How the random tests draw and compare an instruction.</summary>
internal enum TestClass
{
    /// <summary>Registers, immediates, memory and status flags only: compared with the host instruction for instruction.</summary>
    Alu,

    /// <summary>As <see cref="Alu"/>, with flags that depend on a count.</summary>
    Shift,

    /// <summary>Moves that leave the flags alone.</summary>
    Move,

    /// <summary>Bit tests and scans.</summary>
    Bit,

    /// <summary>Multiplication and division, which may raise #DE.</summary>
    Divide,

    /// <summary>Uses the stack pointer implicitly.</summary>
    Stack,

    /// <summary>Changes EIP.</summary>
    ControlFlow,

    /// <summary>String instructions, with or without REP.</summary>
    String,

    /// <summary>Loads or stores flags.</summary>
    Flag,

    /// <summary>Segment registers and descriptors.</summary>
    Segment,

    /// <summary>Privileged, or answered by the platform.</summary>
    System,

    /// <summary>x87.</summary>
    Fpu,

    /// <summary>MMX and SSE.</summary>
    Simd,

    /// <summary>No random test compares it; a hand-written one may.</summary>
    NotTested,
}
