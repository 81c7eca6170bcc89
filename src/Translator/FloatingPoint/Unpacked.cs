using System.Numerics;

namespace Dbt.Translator.FloatingPoint;

/// <summary>
/// A number taken apart. A finite one is (-1)^Sign x (Significand + Extra / 2^64) / 2^63 x 2^Exponent, with bit 63 of
/// <see cref="Significand"/> set. Decoded and rounded numbers have no <see cref="Extra"/>; results before rounding have, and its bit 0
/// stands for everything below it (sticky). A NaN's significand is the 80-bit format's, so payloads go between formats as hardware
/// carries them.
/// </summary>
internal struct Unpacked
{
    /// <summary>Leading 64 bits; a NaN's payload with bit 63 set.</summary>
    public ulong Significand;

    /// <summary>The bits below, the last one sticky.</summary>
    public ulong Extra;

    /// <summary>Exponent of the leading bit, without bias.</summary>
    public int Exponent;

    /// <summary>Minus.</summary>
    public bool Sign;

    /// <summary>Kind of value.</summary>
    public FloatClass Class;

    /// <summary>Decoded from a denormal (or pseudo-denormal): an arithmetic operation raises DE.</summary>
    public bool Denormal;

    /// <summary>The real indefinite: the quiet NaN that a masked invalid operation gives.</summary>
    public static Unpacked Indefinite => new() { Class = FloatClass.QuietNaN, Sign = true, Significand = 3UL << 62 };

    /// <summary>Whether it is a NaN of either kind.</summary>
    public readonly bool IsNaN => Class is FloatClass.QuietNaN or FloatClass.SignalingNaN;

    /// <summary>A zero.</summary>
    public static Unpacked Zero(bool sign) => new() { Sign = sign };

    /// <summary>An infinity.</summary>
    public static Unpacked Infinity(bool sign) => new() { Sign = sign, Class = FloatClass.Infinity, Significand = 1UL << 63 };

    /// <summary>A finite number from any non-zero significand: (-1)^sign x significand / 2^63 x 2^exponent.</summary>
    public static Unpacked Finite(bool sign, int exponent, ulong significand)
    {
        int shift = BitOperations.LeadingZeroCount(significand);
        return new() { Class = FloatClass.Finite, Sign = sign, Exponent = exponent - shift, Significand = significand << shift };
    }

    /// <summary>From an integer; exact.</summary>
    public static Unpacked FromInt64(long value) =>
        value == 0 ? Zero(false) : Finite(value < 0, 63, value < 0 ? (ulong)-value : (ulong)value);

    /// <summary>From binary32.</summary>
    /// <param name="bits">The encoding.</param>
    /// <param name="daz">Denormals count as zeros of their sign.</param>
    public static Unpacked FromSingle(uint bits, bool daz = false) =>
        FromBinary((bits >> 31) != 0, (int)(bits >> 23) & 0xFF, (ulong)(bits & 0x7FFFFF) << 40, 127, daz);

    /// <summary>From binary64.</summary>
    /// <inheritdoc cref="FromSingle"/>
    public static Unpacked FromDouble(ulong bits, bool daz = false) =>
        FromBinary((bits >> 63) != 0, (int)(bits >> 52) & 0x7FF, (bits & 0xFFFFFFFFFFFFF) << 11, 1023, daz);

    /// <summary>From the 80-bit format: every encoding has a class.</summary>
    /// <param name="head">Sign and biased exponent.</param>
    /// <param name="significand">Significand with explicit leading bit.</param>
    public static Unpacked FromExtended(ushort head, ulong significand)
    {
        bool sign = (head & 0x8000) != 0;
        int biased = head & 0x7FFF;
        bool leading = (significand >> 63) != 0;
        if (biased == 0)
        {
            if (significand == 0)
            {
                return Zero(sign);
            }

            Unpacked small = Finite(sign, -16382, significand);
            small.Denormal = true;
            return small;
        }

        if (!leading)
        {
            return new() { Class = FloatClass.Unsupported, Sign = sign, Significand = significand };
        }

        if (biased != 0x7FFF)
        {
            return new() { Class = FloatClass.Finite, Sign = sign, Exponent = biased - 16383, Significand = significand };
        }

        return significand == 1UL << 63
            ? Infinity(sign)
            : new() { Class = (significand & (1UL << 62)) != 0 ? FloatClass.QuietNaN : FloatClass.SignalingNaN, Sign = sign, Significand = significand };
    }

    /// <summary>As binary32: a rounded number of that format, a quiet NaN, an infinity or a zero.</summary>
    public readonly uint ToSingle() => (Sign ? 0x80000000 : 0) | (uint)ToBinary(40, 127);

    /// <summary>As binary64: a rounded number of that format, a quiet NaN, an infinity or a zero.</summary>
    public readonly ulong ToDouble() => (Sign ? 1UL << 63 : 0) | ToBinary(11, 1023);

    /// <summary>As the 80-bit format: a number rounded to it, a NaN, an infinity or a zero.</summary>
    /// <param name="significand">The low eight bytes.</param>
    /// <returns>Sign and biased exponent.</returns>
    public readonly ushort ToExtended(out ulong significand)
    {
        int head = Sign ? 0x8000 : 0;
        significand = Significand;
        switch (Class)
        {
            case FloatClass.Zero:
                significand = 0;
                return (ushort)head;
            case FloatClass.Finite when Exponent >= -16382:
                return (ushort)(head | (Exponent + 16383));
            case FloatClass.Finite:
                significand = Significand >> (-16382 - Exponent);
                return (ushort)head;
            default:
                return (ushort)(head | 0x7FFF);
        }
    }

    /// <summary>The same with the other sign.</summary>
    public readonly Unpacked Negated()
    {
        Unpacked other = this;
        other.Sign = !Sign;
        return other;
    }

    // The fraction is at bit 62 and below, where the 80-bit format has it.
    private static Unpacked FromBinary(bool sign, int biased, ulong fraction, int bias, bool daz)
    {
        if (biased == 0)
        {
            if (fraction == 0 || daz)
            {
                return Zero(sign);
            }

            Unpacked small = Finite(sign, 1 - bias, fraction);
            small.Denormal = true;
            return small;
        }

        ulong significand = fraction | (1UL << 63);
        if (biased != (2 * bias) + 1)
        {
            return new() { Class = FloatClass.Finite, Sign = sign, Exponent = biased - bias, Significand = significand };
        }

        return fraction == 0
            ? Infinity(sign)
            : new() { Class = (fraction & (1UL << 62)) != 0 ? FloatClass.QuietNaN : FloatClass.SignalingNaN, Sign = sign, Significand = significand };
    }

    private readonly ulong ToBinary(int shift, int bias)
    {
        ulong fraction = (Significand & (ulong.MaxValue >> 1)) >> shift;
        return Class switch
        {
            FloatClass.Zero => 0,
            FloatClass.Finite when Exponent >= 1 - bias => fraction | ((ulong)(Exponent + bias) << (63 - shift)),
            FloatClass.Finite => Significand >> (shift + 1 - bias - Exponent),
            _ => fraction | ((ulong)((2 * bias) + 1) << (63 - shift)),
        };
    }
}
