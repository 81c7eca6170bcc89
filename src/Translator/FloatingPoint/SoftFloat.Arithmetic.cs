namespace Dbt.Translator.FloatingPoint;

/// <summary>
/// Floating-point arithmetic in software, for x87 and SSE alike. An operation takes decoded numbers and gives an exact result (with a
/// sticky bit) that <see cref="Round"/> then brings to a format; together they do what one instruction does:
/// <code>
/// var status = FloatStatus.FromMxcsr(mxcsr);
/// Unpacked a = Unpacked.FromSingle(first, status.DenormalsAreZero), b = Unpacked.FromSingle(second, status.DenormalsAreZero);
/// uint sum = SoftFloat.Round(SoftFloat.Add(a, b, ref status), FloatFormat.Single, ref status).ToSingle();
/// // status.Flags: what was raised; status.Unmasked: whether the instruction faults.
/// </code>
/// Operations raise invalid, denormal and zero divide; rounding raises the rest. A NaN result is quiet.
/// </summary>
internal static partial class SoftFloat
{
    /// <summary>a + b.</summary>
    public static Unpacked Add(in Unpacked a, in Unpacked b, ref FloatStatus status)
    {
        if (Special(a, b, ref status, out Unpacked nan))
        {
            return nan;
        }

        if (a.Class == FloatClass.Infinity || b.Class == FloatClass.Infinity)
        {
            if (a.Class == b.Class && a.Sign != b.Sign)
            {
                return Invalid(ref status);
            }

            Operands(a, b, ref status);
            return Unpacked.Infinity(a.Class == FloatClass.Infinity ? a.Sign : b.Sign);
        }

        Operands(a, b, ref status);
        if (b.Class == FloatClass.Zero)
        {
            return a.Class == FloatClass.Zero && a.Sign != b.Sign ? Unpacked.Zero(status.Rounding == FloatRounding.Down) : Plain(a);
        }

        if (a.Class == FloatClass.Zero)
        {
            return Plain(b);
        }

        bool swap = a.Exponent < b.Exponent || (a.Exponent == b.Exponent && a.Significand < b.Significand);
        Unpacked large = swap ? b : a, small = swap ? a : b;
        UInt128 left = (UInt128)large.Significand << 64, right = (UInt128)small.Significand << 64;
        right = ShiftRightSticky(right, large.Exponent - small.Exponent);
        if (a.Sign == b.Sign)
        {
            UInt128 sum = left + right;
            bool carry = sum < left;
            return carry
                ? Make(large.Sign, large.Exponent + 1, (sum >> 1) | (sum & 1) | ((UInt128)1 << 127))
                : Make(large.Sign, large.Exponent, sum);
        }

        UInt128 difference = left - right;
        return difference == 0 ? Unpacked.Zero(status.Rounding == FloatRounding.Down) : Make(large.Sign, large.Exponent, difference);
    }

    /// <summary>a - b.</summary>
    public static Unpacked Subtract(in Unpacked a, in Unpacked b, ref FloatStatus status) =>
        // A NaN keeps its sign.
        b.IsNaN ? Add(a, b, ref status) : Add(a, b.Negated(), ref status);

    /// <summary>a * b.</summary>
    public static Unpacked Multiply(in Unpacked a, in Unpacked b, ref FloatStatus status)
    {
        if (Special(a, b, ref status, out Unpacked nan))
        {
            return nan;
        }

        bool sign = a.Sign != b.Sign;
        if (a.Class == FloatClass.Infinity || b.Class == FloatClass.Infinity)
        {
            if (a.Class == FloatClass.Zero || b.Class == FloatClass.Zero)
            {
                return Invalid(ref status);
            }

            Operands(a, b, ref status);
            return Unpacked.Infinity(sign);
        }

        Operands(a, b, ref status);
        if (a.Class == FloatClass.Zero || b.Class == FloatClass.Zero)
        {
            return Unpacked.Zero(sign);
        }

        ulong high = Math.BigMul(a.Significand, b.Significand, out ulong low);
        return Make(sign, a.Exponent + b.Exponent + 1, new UInt128(high, low));
    }

    /// <summary>a / b.</summary>
    public static Unpacked Divide(in Unpacked a, in Unpacked b, ref FloatStatus status)
    {
        if (Special(a, b, ref status, out Unpacked nan))
        {
            return nan;
        }

        bool sign = a.Sign != b.Sign;
        if (a.Class == b.Class && a.Class is FloatClass.Infinity or FloatClass.Zero)
        {
            return Invalid(ref status);
        }

        if (b.Class == FloatClass.Zero && a.Class == FloatClass.Finite)
        {
            status.Flags |= FloatFlags.ZeroDivide;
            return Unpacked.Infinity(sign);
        }

        Operands(a, b, ref status);
        if (a.Class == FloatClass.Infinity || b.Class == FloatClass.Zero)
        {
            return Unpacked.Infinity(sign);
        }

        if (a.Class == FloatClass.Zero || b.Class == FloatClass.Infinity)
        {
            return Unpacked.Zero(sign);
        }

        // Both between 1 and 2; the dividend is halved so that the quotient fits.
        (ulong first, ulong remainder) = Divide(new UInt128(a.Significand >> 1, a.Significand << 63), b.Significand);
        (ulong second, remainder) = Divide(new UInt128(remainder, 0), b.Significand);
        return Make(sign, a.Exponent - b.Exponent, new UInt128(first, second | (remainder != 0 ? 1UL : 0)));
    }

    /// <summary>The square root.</summary>
    public static Unpacked SquareRoot(in Unpacked a, ref FloatStatus status)
    {
        if (Special(a, ref status, out Unpacked nan))
        {
            return nan;
        }

        if (a.Class == FloatClass.Zero)
        {
            return a;
        }

        if (a.Sign)
        {
            return Invalid(ref status);
        }

        status.Flags |= a.Denormal ? FloatFlags.Denormal : FloatFlags.None;
        if (a.Class == FloatClass.Infinity)
        {
            return a;
        }

        // sqrt(s x 2^63 or 2^64) has 64 bits; one bit more comes with a digit of the remainder.
        bool odd = (a.Exponent & 1) != 0;
        UInt128 radicand = (UInt128)a.Significand << (odd ? 64 : 63);
        ulong root = IntegerRoot(radicand, out UInt128 rest);

        // Next bit: (2r + 1)^2 <= 4 radicand, which is 4 rest > 4r.
        bool half = rest > root;
        bool sticky = half ? true : rest != 0;
        return new()
        {
            Class = FloatClass.Finite,
            Exponent = (a.Exponent - (odd ? 1 : 0)) / 2,
            Significand = root,
            Extra = (half ? 1UL << 63 : 0) | (sticky ? 1UL : 0),
        };
    }

    /// <summary>A finite number from a significand of 128 bits: (-1)^sign x significand / 2^127 x 2^exponent, significand not 0.</summary>
    internal static Unpacked Make(bool sign, int exponent, UInt128 significand)
    {
        int shift = (int)UInt128.LeadingZeroCount(significand);
        significand <<= shift;
        return new()
        {
            Class = FloatClass.Finite,
            Sign = sign,
            Exponent = exponent - shift,
            Significand = (ulong)(significand >> 64),
            Extra = (ulong)significand,
        };
    }

    /// <summary>Shifts right; bits lost leave bit 0 set.</summary>
    internal static UInt128 ShiftRightSticky(UInt128 value, int by)
    {
        if (by == 0)
        {
            return value;
        }

        if (by > 127)
        {
            return value != 0 ? (UInt128)1 : 0;
        }

        UInt128 shifted = value >> by;
        return shifted << by != value ? shifted | 1 : shifted;
    }

    // The largest integer whose square is not above a number of which one of the two leading bits is set.
    private static ulong IntegerRoot(UInt128 radicand, out UInt128 rest)
    {
        ulong high = (ulong)(radicand >> 64);
        ulong root = (ulong)Math.Min(Math.Sqrt(high) * 4294967296.0, 18446744073709549568.0);

        // Newton's iteration from 50 good bits or so; then by steps.
        UInt128 quotient = radicand / root;
        UInt128 mean = (root + quotient) >> 1;
        root = mean > ulong.MaxValue ? ulong.MaxValue : (ulong)mean;
        while (Square(root) > radicand)
        {
            root--;
        }

        while (root != ulong.MaxValue && Square(root + 1) <= radicand)
        {
            root++;
        }

        rest = radicand - Square(root);
        return root;
    }

    private static UInt128 Square(ulong value)
    {
        ulong high = Math.BigMul(value, value, out ulong low);
        return new UInt128(high, low);
    }

    // 128 by 64 bits, where the quotient has 64 and the divisor's leading bit is set (Knuth's algorithm D with two digits of 32 bits).
    private static (ulong Quotient, ulong Remainder) Divide(UInt128 dividend, ulong divisor)
    {
        ulong high = (ulong)(dividend >> 64), low = (ulong)dividend;
        ulong first = Digit(ref high, divisor, low >> 32);
        ulong second = Digit(ref high, divisor, low & 0xFFFFFFFF);
        return ((first << 32) | second, high);
    }

    private static ulong Digit(ref ulong rest, ulong divisor, ulong next)
    {
        ulong upper = divisor >> 32, lower = divisor & 0xFFFFFFFF;
        ulong digit = rest / upper, left = rest % upper;
        while (digit > 0xFFFFFFFF || digit * lower > ((left << 32) | next))
        {
            digit--;
            left += upper;
            if (left > 0xFFFFFFFF)
            {
                break;
            }
        }

        rest = unchecked((rest << 32) + next - (digit * divisor));
        return digit;
    }

    private static Unpacked Plain(Unpacked value)
    {
        value.Denormal = false;
        return value;
    }

    private static void Operands(in Unpacked a, in Unpacked b, ref FloatStatus status) =>
        status.Flags |= a.Denormal | b.Denormal ? FloatFlags.Denormal : FloatFlags.None;
}
