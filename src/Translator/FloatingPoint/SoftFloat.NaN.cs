namespace Dbt.Translator.FloatingPoint;

internal static partial class SoftFloat
{
    /// <summary>The quiet form of a NaN.</summary>
    public static Unpacked Quiet(Unpacked nan)
    {
        nan.Class = FloatClass.QuietNaN;
        nan.Significand |= 3UL << 62;
        return nan;
    }

    /// <summary>Raises invalid.</summary>
    /// <returns>The real indefinite.</returns>
    public static Unpacked Invalid(ref FloatStatus status)
    {
        status.Flags |= FloatFlags.Invalid;
        return Unpacked.Indefinite;
    }

    /// <summary>Deals with an operand that is a NaN or has no meaning.</summary>
    /// <param name="a">The operand.</param>
    /// <param name="status">Invalid is raised for a signalling NaN and an unsupported encoding.</param>
    /// <param name="result">The operation's result, where there is one.</param>
    /// <returns>Whether there is.</returns>
    public static bool Special(in Unpacked a, ref FloatStatus status, out Unpacked result)
    {
        if (a.Class <= FloatClass.Infinity)
        {
            result = default;
            return false;
        }

        if (a.Class != FloatClass.QuietNaN)
        {
            status.Flags |= FloatFlags.Invalid;
        }

        result = a.Class == FloatClass.Unsupported ? Unpacked.Indefinite : Quiet(a);
        return true;
    }

    /// <summary>Deals with two operands of which one is a NaN or has no meaning (SDM vol. 1, table 4-7).</summary>
    /// <inheritdoc cref="Special(in Unpacked, ref FloatStatus, out Unpacked)"/>
    public static bool Special(in Unpacked a, in Unpacked b, ref FloatStatus status, out Unpacked result)
    {
        if (a.Class <= FloatClass.Infinity && b.Class <= FloatClass.Infinity)
        {
            result = default;
            return false;
        }

        if (a.Class == FloatClass.Unsupported || b.Class == FloatClass.Unsupported)
        {
            result = Invalid(ref status);
            return true;
        }

        if (a.Class == FloatClass.SignalingNaN || b.Class == FloatClass.SignalingNaN)
        {
            status.Flags |= FloatFlags.Invalid;
        }

        result = Quiet(!b.IsNaN ? a : !a.IsNaN ? b : status.LargerNaN ? Larger(a, b) : a);
        return true;
    }

    // The x87's choice: a quiet NaN before a signalling one, then the larger significand, then plus.
    private static Unpacked Larger(in Unpacked a, in Unpacked b)
    {
        if (a.Class != b.Class)
        {
            return a.Class == FloatClass.QuietNaN ? a : b;
        }

        return a.Significand != b.Significand ? (a.Significand > b.Significand ? a : b) : a.Sign ? b : a;
    }
}
