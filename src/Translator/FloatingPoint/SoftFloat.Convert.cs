namespace Dbt.Translator.FloatingPoint;

internal static partial class SoftFloat
{
    /// <summary>
    /// A number on its way to another format (FLD m32, CVTSS2SD): a signalling NaN becomes quiet with invalid, a denormal raises DE.
    /// Rounding to the format is left to do where it is narrower.
    /// </summary>
    public static Unpacked Convert(in Unpacked a, ref FloatStatus status)
    {
        if (Special(a, ref status, out Unpacked nan))
        {
            return nan;
        }

        status.Flags |= a.Denormal ? FloatFlags.Denormal : FloatFlags.None;
        return Plain(a);
    }

    /// <summary>To a signed integer. Raises inexact or, where there is no such integer, only invalid. No denormal: an integer has none.</summary>
    /// <param name="a">Any number.</param>
    /// <param name="bits">16, 32 or 64.</param>
    /// <param name="status">Its rounding is used; for truncation the caller sets it.</param>
    /// <returns>The integer, or the integer indefinite: the most negative one.</returns>
    public static long ToInteger(in Unpacked a, int bits, ref FloatStatus status)
    {
        long indefinite = long.MinValue >> (64 - bits);
        status.RoundedUp = false;
        if (a.Class == FloatClass.Zero)
        {
            return 0;
        }

        if (a.Class != FloatClass.Finite || a.Exponent > 63)
        {
            status.Flags |= FloatFlags.Invalid;
            return indefinite;
        }

        FloatFlags before = status.Flags;
        Unpacked integral = RoundToIntegral(a, ref status);
        if (integral.Class == FloatClass.Zero)
        {
            return 0;
        }

        ulong magnitude = integral.Exponent > 63 ? ulong.MaxValue : integral.Significand >> (63 - integral.Exponent);
        ulong limit = (1UL << (bits - 1)) - (a.Sign ? 0UL : 1UL);
        if (magnitude > limit)
        {
            status.Flags = before | FloatFlags.Invalid;
            status.RoundedUp = false;
            return indefinite;
        }

        return a.Sign ? -(long)magnitude : (long)magnitude;
    }
}
