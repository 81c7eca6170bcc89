namespace Dbt.Translator.FloatingPoint;

/// <summary>How two numbers relate.</summary>
internal enum FloatRelation
{
    /// <summary>a &lt; b.</summary>
    Less,

    /// <summary>a = b.</summary>
    Equal,

    /// <summary>a &gt; b.</summary>
    Greater,

    /// <summary>One is a NaN.</summary>
    Unordered,
}

internal static partial class SoftFloat
{
    /// <summary>Compares.</summary>
    /// <param name="a">Left.</param>
    /// <param name="b">Right.</param>
    /// <param name="quiet">Quiet NaNs raise nothing (FUCOM, UCOMISS), else invalid (FCOM, COMISS).</param>
    /// <param name="status">Invalid and denormal are raised.</param>
    public static FloatRelation Compare(in Unpacked a, in Unpacked b, bool quiet, ref FloatStatus status)
    {
        if (a.Class > FloatClass.Infinity || b.Class > FloatClass.Infinity)
        {
            bool silent = quiet && a.Class <= FloatClass.QuietNaN && b.Class <= FloatClass.QuietNaN;
            status.Flags |= silent ? FloatFlags.None : FloatFlags.Invalid;
            return FloatRelation.Unordered;
        }

        Operands(a, b, ref status);
        int left = Order(a), right = Order(b);
        if (left != right)
        {
            return left < right ? FloatRelation.Less : FloatRelation.Greater;
        }

        // Of the same sign and class.
        if (a.Class != FloatClass.Finite)
        {
            return FloatRelation.Equal;
        }

        int magnitude = a.Exponent != b.Exponent ? a.Exponent.CompareTo(b.Exponent) : a.Significand.CompareTo(b.Significand);
        magnitude = a.Sign ? -magnitude : magnitude;
        return magnitude < 0 ? FloatRelation.Less : magnitude > 0 ? FloatRelation.Greater : FloatRelation.Equal;
    }

    private static int Order(in Unpacked a)
    {
        int size = a.Class switch { FloatClass.Zero => 0, FloatClass.Finite => 1, _ => 2 };
        return a.Sign ? -size : size;
    }
}
