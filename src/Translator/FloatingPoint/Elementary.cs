namespace Dbt.Translator.FloatingPoint;

/// <summary>Elementary functions to some 115 bits, by argument reduction and Taylor's series.</summary>
internal static class Elementary
{
    /// <summary>pi.</summary>
    public static readonly Wide Pi = new(false, 1, new UInt128(0xC90FDAA22168C234, 0xC4C6628B80DC1CD1));

    /// <summary>The natural logarithm of 2.</summary>
    public static readonly Wide Ln2 = new(false, -1, new UInt128(0xB17217F7D1CF79AB, 0xC9E3B39803F2F6AF));

    /// <summary>The binary logarithm of e.</summary>
    public static readonly Wide Log2E = new(false, 0, new UInt128(0xB8AA3B295C17F0BB, 0xBE87FED0691D3E88));

    /// <summary>
    /// Half of pi as the processors' argument reduction has it, with 66 bits, in units of 2^-65 (SDM vol. 1, 8.3.8).
    /// </summary>
    private static readonly UInt128 HalfPi = new(3, 0x243F6A8885A308D3);

    private const int SineTerms = 17, ExponentialTerms = 36, LogarithmTerms = 27, ArcTerms = 13, ArcSteps = 32;

    private static readonly Wide One = Wide.Integer(1);
    private static readonly Wide[] Reciprocals = [.. Enumerable.Range(0, 64).Select(n => Wide.Reciprocal((uint)Math.Max(n, 1)))];

    /// <summary>Arc tangents of n / ArcSteps.</summary>
    private static readonly Wide[] Arcs = MakeArcs();

    /// <summary>Brings an angle below 2^63 into -pi/4 to pi/4, exactly but for pi's 66 bits.</summary>
    /// <param name="angle">Finite.</param>
    /// <param name="quadrant">Right angles taken off, modulo 4.</param>
    public static Wide Reduce(in Unpacked angle, out int quadrant)
    {
        quadrant = 0;
        if (angle.Exponent < -2)
        {
            return new Wide(angle);
        }

        UInt128 units = (UInt128)angle.Significand << (angle.Exponent + 2);
        UInt128 count = units / HalfPi, rest = units - (count * HalfPi);
        bool negative = rest > HalfPi >> 1;
        if (negative)
        {
            rest = HalfPi - rest;
            count++;
        }

        quadrant = (int)(ulong)(count & 3);
        if (angle.Sign)
        {
            quadrant = -quadrant & 3;
        }

        return new Wide(negative != angle.Sign, 62, rest);
    }

    /// <summary>The sine of an angle between -pi/4 and pi/4.</summary>
    public static Wide Sine(in Wide angle)
    {
        Wide square = -(angle * angle), sum = One;
        for (int n = SineTerms; n > 0; n--)
        {
            sum = One + (square * sum * Reciprocals[2 * n] * Reciprocals[(2 * n) + 1]);
        }

        return angle * sum;
    }

    /// <summary>The cosine of an angle between -pi/4 and pi/4.</summary>
    public static Wide Cosine(in Wide angle)
    {
        Wide square = -(angle * angle), sum = One;
        for (int n = SineTerms; n > 0; n--)
        {
            sum = One + (square * sum * Reciprocals[2 * n] * Reciprocals[(2 * n) - 1]);
        }

        return sum;
    }

    /// <summary>The tangent of an angle between -pi/4 and pi/4.</summary>
    public static Wide Tangent(in Wide angle) =>
        angle.Exponent < -40 ? angle + (angle * angle * angle * Reciprocals[3]) : Sine(angle) / Cosine(angle);

    /// <summary>2^x - 1 for x between -1 and 1.</summary>
    public static Wide PowerMinusOne(in Wide x)
    {
        Wide natural = x * Ln2, sum = One;
        for (int n = ExponentialTerms; n > 1; n--)
        {
            sum = One + (natural * sum * Reciprocals[n]);
        }

        return natural * sum;
    }

    /// <summary>The binary logarithm of a number above 0; 0 only for 1.</summary>
    public static Wide Log2(in Wide x)
    {
        // Between sqrt(1/2) and sqrt(2), so that nothing cancels.
        bool upper = x.Significand > new UInt128(0xB504F333F9DE6484, 0x597D89B3754ABE9F);
        var fraction = new Wide(false, upper ? -1 : 0, x.Significand);
        Wide part = Log2NearOne(fraction - One);
        return Wide.Integer(x.Exponent + (upper ? 1 : 0)) + part;
    }

    /// <summary>The binary logarithm of 1 + x, x above -1, with a relative error that is small also near 0.</summary>
    public static Wide Log2OfOnePlus(in Wide x)
    {
        // Up to sqrt(2) - 1 and down to sqrt(1/2) - 1, or there about, the series; elsewhere 1 + x is not so near 1 that it would lose bits.
        bool near = x.Exponent < -2 || (x.Exponent == -2 && (!x.Sign || x.Significand < new UInt128(0x95F619980C4336F7, 0)));
        return near ? Log2NearOne(x) : Log2(One + x);
    }

    // For 1 + x between sqrt(1/2) and 3/2.
    private static Wide Log2NearOne(in Wide x)
    {
        if (x.IsZero)
        {
            return x;
        }

        Wide ratio = x / (Wide.Integer(2) + x);
        Wide square = ratio * ratio, sum = Reciprocals[(2 * LogarithmTerms) + 1];
        for (int n = LogarithmTerms - 1; n >= 0; n--)
        {
            sum = Reciprocals[(2 * n) + 1] + (square * sum);
        }

        return ratio * sum * Log2E.Scaled(1);
    }

    /// <summary>The arc tangent of a number from 0 to 1.</summary>
    public static Wide ArcTangent(in Wide ratio)
    {
        // atan(t) = atan(c) + atan((t - c) / (1 + t c))
        int nearest = ratio.Exponent < -6 ? 0 : (int)(((ulong)(ratio.Significand >> (121 - ratio.Exponent)) + 1) >> 1);
        if (nearest == 0)
        {
            return ArcSeries(ratio);
        }

        Wide center = Wide.Integer(nearest).Scaled(-5);
        return Arcs[nearest] + ArcSeries((ratio - center) / (One + (ratio * center)));
    }

    private static Wide ArcSeries(in Wide t)
    {
        Wide square = -(t * t), sum = Reciprocals[(2 * ArcTerms) + 1];
        for (int n = ArcTerms - 1; n >= 0; n--)
        {
            sum = Reciprocals[(2 * n) + 1] + (square * sum);
        }

        return t * sum;
    }

    // atan(c + 1/32) = atan(c) + atan(d), each step small enough for the series.
    private static Wide[] MakeArcs()
    {
        var arcs = new Wide[ArcSteps + 1];
        arcs[0] = Wide.Integer(0);
        for (int n = 1; n <= ArcSteps; n++)
        {
            Wide before = Wide.Integer(n - 1).Scaled(-5), here = Wide.Integer(n).Scaled(-5);
            arcs[n] = arcs[n - 1] + ArcSeries((here - before) / (One + (here * before)));
        }

        return arcs;
    }
}
