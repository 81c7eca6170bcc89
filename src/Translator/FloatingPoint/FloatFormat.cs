namespace Dbt.Translator.FloatingPoint;

/// <summary>Precision and exponent range of a result.</summary>
internal readonly struct FloatFormat
{
    private FloatFormat(int precision, int maximum, int wrap)
    {
        Precision = precision;
        MaxExponent = maximum;
        MinExponent = 1 - maximum;
        Wrap = wrap;
    }

    /// <summary>binary32.</summary>
    public static FloatFormat Single => new(24, 127, 192);

    /// <summary>binary64.</summary>
    public static FloatFormat Double => new(53, 1023, 1536);

    /// <summary>The x87's 80 bits.</summary>
    public static FloatFormat Extended => new(64, 16383, 24576);

    /// <summary>Bits of the significand, the leading one included: 24, 53, 64.</summary>
    public int Precision { get; }

    /// <summary>Exponent of the largest binade, without bias.</summary>
    public int MaxExponent { get; }

    /// <summary>Exponent of the smallest normal number.</summary>
    public int MinExponent { get; }

    /// <summary>What is taken from or added to the exponent where overflow or underflow is unmasked (SDM vol. 1, 4.9.1.4).</summary>
    public int Wrap { get; }

    /// <summary>
    /// Of an x87 register under the control word's precision control: fewer bits, the range of 80 bits. The reserved value 1 counts as 64 bits.
    /// </summary>
    public static FloatFormat Register(ushort control) => ((control >> 8) & 3) switch
    {
        0 => new(24, 16383, 24576),
        2 => new(53, 16383, 24576),
        _ => Extended,
    };
}
