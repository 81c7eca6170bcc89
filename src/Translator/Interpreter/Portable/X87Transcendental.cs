using Dbt.Translator.FloatingPoint;

namespace Dbt.Translator.Interpretation.Portable;

/// <summary>
/// F2XM1, FYL2X, FYL2XP1, FPATAN (SDM vol. 1, 8.3.9, and their tables in vol. 2): correctly rounded but for cases that 115 bits leave
/// open. Precision control is not looked at. Results are reported inexact even where they are not, as processors do.
/// </summary>
internal static class X87Transcendental
{
    /// <summary>F2XM1. Outside -1 to 1, where the manual leaves the result open, the argument stays.</summary>
    public static void PowerMinusOne(ref X87Unit unit, PortableX87 i)
    {
        if (unit.IsEmpty(0))
        {
            X87Arithmetic.Underflow(ref unit, 0);
            return;
        }

        Unpacked x = unit.Get(0);
        Unpacked result = x;
        if (!SoftFloat.Special(x, ref unit.Status, out Unpacked nan))
        {
            unit.Status.Flags |= x.Denormal ? FloatFlags.Denormal : FloatFlags.None;
            if (x.Class == FloatClass.Infinity)
            {
                result = x.Sign ? Unpacked.FromInt64(-1) : x;
            }
            else if (x.Class == FloatClass.Finite)
            {
                result = Power(x, ref unit.Status);
            }
        }
        else
        {
            result = nan;
        }

        if (!unit.Stopped)
        {
            unit.Set(0, result);
        }
    }

    /// <summary>FYL2X: ST(1) times the binary logarithm of ST(0).</summary>
    public static void Logarithm(ref X87Unit unit, PortableX87 i)
    {
        if (Operands(ref unit, out Unpacked x, out Unpacked y))
        {
            Store(ref unit, Logarithm(x, y, ref unit.Status));
        }
    }

    /// <summary>FYL2XP1: ST(1) times the binary logarithm of ST(0) + 1.</summary>
    public static void LogarithmOfOnePlus(ref X87Unit unit, PortableX87 i)
    {
        if (Operands(ref unit, out Unpacked x, out Unpacked y))
        {
            Store(ref unit, LogarithmOfOnePlus(x, y, ref unit.Status));
        }
    }

    /// <summary>FPATAN: the angle of the point (ST(0), ST(1)).</summary>
    public static void ArcTangent(ref X87Unit unit, PortableX87 i)
    {
        if (Operands(ref unit, out Unpacked x, out Unpacked y))
        {
            Store(ref unit, Angle(x, y, ref unit.Status));
        }
    }

    private static Unpacked Power(in Unpacked x, ref FloatStatus status)
    {
        if (x.Exponent >= 0)
        {
            status.Flags |= FloatFlags.Inexact;
            status.RoundedUp = x.Exponent == 0 && x.Significand == 1UL << 63 && !x.Sign;
            return x.Exponent == 0 && x.Significand == 1UL << 63 && x.Sign ? Unpacked.Finite(true, -1, 1UL << 63) : x;
        }

        return SoftFloat.Round(Elementary.PowerMinusOne(new Wide(x)).ToUnpacked(), FloatFormat.Extended, ref status);
    }

    private static Unpacked Logarithm(in Unpacked x, in Unpacked y, ref FloatStatus status)
    {
        if (SoftFloat.Special(x, y, ref status, out Unpacked nan))
        {
            return nan;
        }

        if (x.Sign && x.Class != FloatClass.Zero)
        {
            return SoftFloat.Invalid(ref status);
        }

        if (x.Class == FloatClass.Zero)
        {
            if (y.Class == FloatClass.Zero)
            {
                return SoftFloat.Invalid(ref status);
            }

            status.Flags |= y.Class == FloatClass.Finite ? FloatFlags.ZeroDivide : FloatFlags.None;
            return Unpacked.Infinity(!y.Sign);
        }

        bool below = x.Class == FloatClass.Finite && x.Exponent < 0;
        bool one = x.Class == FloatClass.Finite && x.Exponent == 0 && x.Significand == 1UL << 63;
        return Limits(x, y, below, one, ref status, out Unpacked result) ? result : Product(Elementary.Log2(new Wide(x)), y, ref status);
    }

    private static Unpacked LogarithmOfOnePlus(in Unpacked x, in Unpacked y, ref FloatStatus status)
    {
        if (SoftFloat.Special(x, y, ref status, out Unpacked nan))
        {
            return nan;
        }

        if (x.Sign && x.Class == FloatClass.Infinity)
        {
            return SoftFloat.Invalid(ref status);
        }

        if (Limits(x, y, x.Sign, x.Class == FloatClass.Zero, ref status, out Unpacked result))
        {
            return result;
        }

        if (x.Sign && x.Exponent >= 0)
        {
            // There is no logarithm, and the manual leaves the result open: the argument.
            status.Flags |= FloatFlags.Inexact;
            return x;
        }

        return Product(Elementary.Log2OfOnePlus(new Wide(x)), y, ref status);
    }

    // Zeros and infinities. The logarithm is below zero where "below" says so, and zero where "one" says so.
    private static bool Limits(in Unpacked x, in Unpacked y, bool below, bool one, ref FloatStatus status, out Unpacked result)
    {
        bool infinite = x.Class == FloatClass.Infinity || y.Class == FloatClass.Infinity;
        bool zero = one || y.Class == FloatClass.Zero;
        if (infinite && zero)
        {
            result = SoftFloat.Invalid(ref status);
            return true;
        }

        status.Flags |= x.Denormal || y.Denormal ? FloatFlags.Denormal : FloatFlags.None;
        bool sign = (one ? x.Class == FloatClass.Zero && x.Sign : below) != y.Sign;
        result = infinite ? Unpacked.Infinity(sign) : Unpacked.Zero(sign);
        return infinite || zero;
    }

    private static Unpacked Product(in Wide logarithm, in Unpacked y, ref FloatStatus status)
    {
        Unpacked plain = y;
        plain.Denormal = false;
        Unpacked exact;
        if (logarithm.Significand << 16 == 0)
        {
            // A power of two has an integer for a logarithm.
            Unpacked integer = Unpacked.Finite(logarithm.Sign, logarithm.Exponent, (ulong)(logarithm.Significand >> 64));
            exact = SoftFloat.Multiply(integer, plain, ref status);
        }
        else
        {
            exact = (logarithm * new Wide(plain)).ToUnpacked();
        }

        exact = SoftFloat.Round(exact, FloatFormat.Extended, ref status);
        status.Flags |= FloatFlags.Inexact;
        return exact;
    }

    private static Unpacked Angle(in Unpacked x, in Unpacked y, ref FloatStatus status)
    {
        if (SoftFloat.Special(x, y, ref status, out Unpacked nan))
        {
            return nan;
        }

        status.Flags |= x.Denormal || y.Denormal ? FloatFlags.Denormal : FloatFlags.None;
        bool flat = y.Class == FloatClass.Zero || (x.Class == FloatClass.Infinity && y.Class != FloatClass.Infinity);
        bool steep = x.Class == FloatClass.Zero || (y.Class == FloatClass.Infinity && x.Class != FloatClass.Infinity);
        Wide angle;
        if (flat)
        {
            if (!x.Sign)
            {
                return Unpacked.Zero(y.Sign);
            }

            angle = Elementary.Pi;
        }
        else if (steep)
        {
            angle = Elementary.Pi.Scaled(-1);
        }
        else if (x.Class == FloatClass.Infinity)
        {
            angle = x.Sign ? Elementary.Pi.Scaled(-2) + Elementary.Pi.Scaled(-1) : Elementary.Pi.Scaled(-2);
        }
        else
        {
            angle = FiniteAngle(x, y);
        }

        return SoftFloat.Round((y.Sign ? -angle : angle).ToUnpacked(), FloatFormat.Extended, ref status);
    }

    // From 0 to pi, by the octant.
    private static Wide FiniteAngle(Unpacked x, Unpacked y)
    {
        bool left = x.Sign;
        x.Sign = y.Sign = false;
        bool swap = y.Exponent > x.Exponent || (y.Exponent == x.Exponent && y.Significand > x.Significand);
        FloatStatus ignored = default;
        Wide angle = Elementary.ArcTangent(new Wide(swap ? SoftFloat.Divide(x, y, ref ignored) : SoftFloat.Divide(y, x, ref ignored)));
        angle = swap ? Elementary.Pi.Scaled(-1) - angle : angle;
        return left ? Elementary.Pi - angle : angle;
    }

    private static bool Operands(ref X87Unit unit, out Unpacked x, out Unpacked y)
    {
        x = unit.Get(0);
        y = unit.Get(1);
        if (!unit.IsEmpty(0) && !unit.IsEmpty(1))
        {
            return true;
        }

        unit.Underflow();
        Store(ref unit, Unpacked.Indefinite);
        return false;
    }

    private static void Store(ref X87Unit unit, in Unpacked result)
    {
        if (!unit.Stopped)
        {
            unit.Set(1, result);
            unit.Pop();
        }
    }
}
