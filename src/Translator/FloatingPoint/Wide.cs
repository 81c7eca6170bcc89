namespace Dbt.Translator.FloatingPoint;

/// <summary>
/// A real number with 128 bits of significand and no bounds on its exponent, for elementary functions: each operation is off by an ulp
/// or two of 2^-127, so that some 115 bits of a function are right. (-1)^Sign x Significand / 2^127 x 2^Exponent; bit 127 is set
/// unless the number is 0.
/// </summary>
internal readonly struct Wide
{
    /// <summary>From its parts; the significand may be any.</summary>
    public Wide(bool sign, int exponent, UInt128 significand)
    {
        int shift = significand == 0 ? 0 : (int)UInt128.LeadingZeroCount(significand);
        Sign = sign;
        Exponent = exponent - shift;
        Significand = significand << shift;
    }

    /// <summary>From a finite number or zero.</summary>
    public Wide(in Unpacked value)
        : this(value.Sign, value.Exponent, value.Class == FloatClass.Zero ? 0 : new UInt128(value.Significand, value.Extra))
    {
    }

    /// <summary>Minus.</summary>
    public bool Sign { get; }

    /// <summary>Exponent of the leading bit.</summary>
    public int Exponent { get; }

    /// <summary>The significand.</summary>
    public UInt128 Significand { get; }

    /// <summary>Whether it is 0.</summary>
    public bool IsZero => Significand == 0;

    /// <summary>An integer, exactly.</summary>
    public static Wide Integer(long value) => new(value < 0, 127, (UInt128)(ulong)Math.Abs(value));

    /// <summary>1 / n, n above 0.</summary>
    public static Wide Reciprocal(uint n) => n == 1 ? Integer(1) : new(false, -1, UInt128.MaxValue / n);

    /// <summary>Sum. What of the smaller number falls out of the significand still moves the result by an ulp.</summary>
    public static Wide operator +(in Wide a, in Wide b)
    {
        if (a.IsZero || b.IsZero)
        {
            return a.IsZero ? b : a;
        }

        bool swap = a.Exponent < b.Exponent || (a.Exponent == b.Exponent && a.Significand < b.Significand);
        Wide large = swap ? b : a, small = swap ? a : b;
        UInt128 left = large.Significand, right = SoftFloat.ShiftRightSticky(small.Significand, large.Exponent - small.Exponent);
        if (a.Sign != b.Sign)
        {
            return new(large.Sign, large.Exponent, left - right);
        }

        UInt128 sum = left + right;
        return sum < left
            ? new(large.Sign, large.Exponent + 1, (sum >> 1) | ((UInt128)1 << 127) | (sum & 1))
            : new(large.Sign, large.Exponent, sum);
    }

    /// <summary>Difference.</summary>
    public static Wide operator -(in Wide a, in Wide b) => a + -b;

    /// <summary>The other sign.</summary>
    public static Wide operator -(in Wide a) => new(!a.Sign, a.Exponent, a.Significand);

    /// <summary>Product, truncated.</summary>
    public static Wide operator *(in Wide a, in Wide b) => new(a.Sign != b.Sign, a.Exponent + b.Exponent + 1, High(a.Significand, b.Significand));

    /// <summary>Quotient by Newton's iteration; the divisor is not 0.</summary>
    public static Wide operator /(in Wide a, in Wide b)
    {
        // The reciprocal of the significand, between 1/2 and 1, from 50 bits to 100 and more.
        var divisor = new Wide(false, 0, b.Significand);
        double leading = (double)(ulong)(b.Significand >> 64) / 9223372036854775808.0;
        var estimate = new Wide(false, 0, (UInt128)(ulong)(9223372036854775808.0 / leading) << 64);
        Wide two = Integer(2);
        for (int i = 0; i < 2; i++)
        {
            estimate *= two - (divisor * estimate);
        }

        Wide quotient = new Wide(false, 0, a.Significand) * estimate;
        return new(a.Sign != b.Sign, quotient.Exponent + a.Exponent - b.Exponent, quotient.Significand);
    }

    /// <summary>Times a power of two.</summary>
    public Wide Scaled(int by) => new(Sign, Exponent + by, Significand);

    /// <summary>As an exact result to be rounded: a number that is close to, but is not, what the significand says.</summary>
    public Unpacked ToUnpacked() => IsZero ? Unpacked.Zero(Sign) : SoftFloat.Make(Sign, Exponent, Significand | 1);

    private static UInt128 High(UInt128 a, UInt128 b)
    {
        ulong a1 = (ulong)(a >> 64), a0 = (ulong)a, b1 = (ulong)(b >> 64), b0 = (ulong)b;
        ulong low = Math.BigMul(a0, b0, out _);
        ulong middle1 = Math.BigMul(a1, b0, out ulong low1), middle2 = Math.BigMul(a0, b1, out ulong low2);
        UInt128 carry = (UInt128)low + low1 + low2;
        ulong high = Math.BigMul(a1, b1, out ulong low3);
        return new UInt128(high, low3) + middle1 + middle2 + (carry >> 64);
    }
}
