namespace Dbt.Translator.FloatingPoint;

/// <summary>What kind of value an encoding holds (SDM vol. 1, 4.8.3).</summary>
internal enum FloatClass : byte
{
    /// <summary>A signed zero.</summary>
    Zero,

    /// <summary>A number with a significand, normal or denormal.</summary>
    Finite,

    /// <summary>A signed infinity.</summary>
    Infinity,

    /// <summary>A quiet NaN.</summary>
    QuietNaN,

    /// <summary>A signalling NaN.</summary>
    SignalingNaN,

    /// <summary>An 80-bit encoding that no processor since the 387 takes: unnormal, pseudo-NaN, pseudo-infinity (SDM vol. 1, 8.2.2).</summary>
    Unsupported,
}
