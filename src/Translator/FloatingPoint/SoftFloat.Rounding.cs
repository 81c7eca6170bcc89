namespace Dbt.Translator.FloatingPoint;

internal static partial class SoftFloat
{
    /// <summary>
    /// Rounds a result to a format (SDM vol. 1, 4.8.4, 4.9.1). Raises overflow, underflow (tininess is seen after rounding, as all x86
    /// processors do) and inexact; sets <see cref="FloatStatus.RoundedUp"/>.
    /// </summary>
    /// <param name="value">Any class; only finite numbers are rounded.</param>
    /// <param name="format">Precision and range of the result.</param>
    /// <param name="status">Rounding, masks, flags. Where overflow or underflow is unmasked the result has its exponent wrapped
    /// by <see cref="FloatFormat.Wrap"/>, and is inexact only if its significand is.</param>
    /// <returns>A number that the format holds (or a wrapped one).</returns>
    public static Unpacked Round(in Unpacked value, in FloatFormat format, ref FloatStatus status)
    {
        status.RoundedUp = false;
        if (value.Class != FloatClass.Finite)
        {
            return value;
        }

        Unpacked result = Drop(value, 64 - format.Precision, status.Rounding, out bool inexact, out bool up);
        if (result.Exponent > format.MaxExponent)
        {
            return Overflow(result, inexact, up, format, ref status);
        }

        if (result.Exponent < format.MinExponent)
        {
            if ((status.Masks & FloatFlags.Underflow) == 0)
            {
                status.Flags |= FloatFlags.Underflow;
                result.Exponent += format.Wrap;
            }
            else if (status.FlushToZero)
            {
                status.Flags |= FloatFlags.Underflow | FloatFlags.Inexact;
                return Unpacked.Zero(value.Sign);
            }
            else
            {
                result = Drop(value, 64 - format.Precision + format.MinExponent - value.Exponent, status.Rounding, out inexact, out up);
                status.Flags |= inexact ? FloatFlags.Underflow : FloatFlags.None;
            }
        }

        if (inexact)
        {
            status.Flags |= FloatFlags.Inexact;
            status.RoundedUp = up;
        }

        return result;
    }

    /// <summary>Rounds to an integral value of the same format (FRNDINT, ROUNDSS). Raises inexact, not invalid or denormal.</summary>
    public static Unpacked RoundToIntegral(in Unpacked value, ref FloatStatus status)
    {
        status.RoundedUp = false;
        if (value.Class != FloatClass.Finite || value.Exponent >= 63)
        {
            return value;
        }

        Unpacked result = Drop(value, 63 - value.Exponent, status.Rounding, out bool inexact, out bool up);
        if (inexact)
        {
            status.Flags |= FloatFlags.Inexact;
            status.RoundedUp = up;
        }

        return result;
    }

    private static Unpacked Overflow(Unpacked result, bool inexact, bool up, in FloatFormat format, ref FloatStatus status)
    {
        status.Flags |= FloatFlags.Overflow;
        if ((status.Masks & FloatFlags.Overflow) == 0)
        {
            result.Exponent -= format.Wrap;
            status.Flags |= inexact ? FloatFlags.Inexact : FloatFlags.None;
            status.RoundedUp = inexact && up;
            return result;
        }

        status.Flags |= FloatFlags.Inexact;
        bool infinite = status.Rounding switch
        {
            FloatRounding.Nearest => true,
            FloatRounding.Down => result.Sign,
            FloatRounding.Up => !result.Sign,
            _ => false,
        };
        status.RoundedUp = infinite;
        return infinite
            ? Unpacked.Infinity(result.Sign)
            : Unpacked.Finite(result.Sign, format.MaxExponent, ulong.MaxValue << (64 - format.Precision));
    }

    // Rounds away the lowest bits of the significand and what is below, without bounds on the exponent. Zero where nothing is left.
    private static Unpacked Drop(in Unpacked value, int bits, FloatRounding rounding, out bool inexact, out bool up)
    {
        bool half, sticky, odd;
        ulong kept;
        switch (bits)
        {
            case 0:
                kept = value.Significand;
                half = (value.Extra >> 63) != 0;
                sticky = value.Extra << 1 != 0;
                odd = (kept & 1) != 0;
                break;
            case <= 64:
                ulong below = value.Significand & ((1UL << (bits - 1)) - 1);
                half = ((value.Significand >> (bits - 1)) & 1) != 0;
                sticky = (below | value.Extra) != 0;
                kept = bits == 64 ? 0 : value.Significand >> bits << bits;
                odd = bits != 64 && ((value.Significand >> bits) & 1) != 0;
                break;
            default:
                kept = 0;
                half = odd = false;
                sticky = true;
                break;
        }

        inexact = half | sticky;
        up = rounding switch
        {
            FloatRounding.Nearest => half && (sticky || odd),
            FloatRounding.Down => inexact && value.Sign,
            FloatRounding.Up => inexact && !value.Sign,
            _ => false,
        };
        var result = new Unpacked { Class = FloatClass.Finite, Sign = value.Sign, Exponent = value.Exponent, Significand = kept };
        if (!up)
        {
            return kept != 0 ? result : Unpacked.Zero(value.Sign);
        }

        if (bits > 63)
        {
            result.Significand = 1UL << 63;
            result.Exponent += bits - 63;
            return result;
        }

        result.Significand += 1UL << bits;
        if (result.Significand < kept)
        {
            result.Significand = 1UL << 63;
            result.Exponent++;
        }

        return result;
    }
}
