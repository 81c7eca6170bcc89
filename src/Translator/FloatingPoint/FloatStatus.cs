namespace Dbt.Translator.FloatingPoint;

/// <summary>Exception flags, with the bit numbers that the x87 status word and MXCSR share.</summary>
[Flags]
internal enum FloatFlags : uint
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>IE: invalid operation.</summary>
    Invalid = 1,

    /// <summary>DE: denormal operand.</summary>
    Denormal = 2,

    /// <summary>ZE: division by zero.</summary>
    ZeroDivide = 4,

    /// <summary>OE: overflow.</summary>
    Overflow = 8,

    /// <summary>UE: underflow.</summary>
    Underflow = 16,

    /// <summary>PE: inexact result (precision).</summary>
    Inexact = 32,

    /// <summary>All six.</summary>
    All = 63,
}

/// <summary>Rounding control, with the values that the x87 control word and MXCSR share.</summary>
internal enum FloatRounding : byte
{
    /// <summary>To nearest, ties to even.</summary>
    Nearest,

    /// <summary>Toward minus infinity.</summary>
    Down,

    /// <summary>Toward plus infinity.</summary>
    Up,

    /// <summary>Toward zero.</summary>
    Zero,
}

/// <summary>
/// What steers an operation and what it reports: the part of the x87 control and status words, or of MXCSR, that arithmetic knows of.
/// Flags accumulate; who must stop at an unmasked exception looks at <see cref="Unmasked"/> afterwards.
/// </summary>
internal struct FloatStatus
{
    /// <summary>Exceptions raised so far.</summary>
    public FloatFlags Flags;

    /// <summary>Masked exceptions. Only overflow's and underflow's masks change a result.</summary>
    public FloatFlags Masks;

    /// <summary>How results are rounded.</summary>
    public FloatRounding Rounding;

    /// <summary>Two NaNs give the one with the larger significand (x87) instead of the first (SSE).</summary>
    public bool LargerNaN;

    /// <summary>MXCSR.FZ: a tiny result becomes zero where underflow is masked.</summary>
    public bool FlushToZero;

    /// <summary>MXCSR.DAZ: denormal operands count as zeros; looked at when decoding.</summary>
    public bool DenormalsAreZero;

    /// <summary>Whether the last rounding made the magnitude larger: C1 of the x87.</summary>
    public bool RoundedUp;

    /// <summary>Exceptions raised that are not masked.</summary>
    public readonly FloatFlags Unmasked => Flags & ~Masks;

    /// <summary>For an x87 control word.</summary>
    public static FloatStatus FromControlWord(ushort control) => new()
    {
        Masks = (FloatFlags)(control & 0x3F),
        Rounding = (FloatRounding)((control >> 10) & 3),
        LargerNaN = true,
    };

    /// <summary>For MXCSR; its flags are left out, so that <see cref="Flags"/> holds what the operation raises.</summary>
    public static FloatStatus FromMxcsr(uint mxcsr) => new()
    {
        Masks = (FloatFlags)((mxcsr >> 7) & 0x3F),
        Rounding = (FloatRounding)((mxcsr >> 13) & 3),
        FlushToZero = (mxcsr & 0x8000) != 0,
        DenormalsAreZero = (mxcsr & 0x40) != 0,
    };
}
