using Dbt.Translator.FloatingPoint;
using Iced.Intel;

namespace Dbt.Translator.Interpretation.Portable;

/// <summary>
/// FSIN, FCOS, FSINCOS, FPTAN (SDM vol. 1, 8.3.7, 8.3.8): arguments below 2^63, reduced with 66 bits of pi as processors do it;
/// correctly rounded but for cases that 115 bits leave open.
/// </summary>
internal static class X87Trigonometry
{
    private const int FirstBeyond = 63;

    /// <summary>FSIN, FCOS.</summary>
    public static void SineOrCosine(ref X87Unit unit, PortableX87 i)
    {
        if (!Argument(ref unit, out Unpacked angle))
        {
            return;
        }

        Unpacked result = Function(angle, i.Mnemonic == Mnemonic.Fcos ? 1 : 0, ref unit.Status);
        if (!unit.Stopped)
        {
            unit.Set(0, result);
        }
    }

    /// <summary>FSINCOS: the sine takes ST(0)'s place, the cosine is pushed.</summary>
    public static void SineAndCosine(ref X87Unit unit, PortableX87 i)
    {
        if (!PushArgument(ref unit, out Unpacked angle))
        {
            return;
        }

        // C1 tells of the sine.
        Unpacked cosine = Function(angle, 1, ref unit.Status), sine = Function(angle, 0, ref unit.Status);
        Replace(ref unit, sine, cosine);
    }

    /// <summary>FPTAN: the tangent takes ST(0)'s place, 1 is pushed.</summary>
    public static void Tangent(ref X87Unit unit, PortableX87 i)
    {
        if (!PushArgument(ref unit, out Unpacked angle))
        {
            return;
        }

        if (!Exact(angle, ref unit.Status, out Unpacked result))
        {
            Wide tangent = Elementary.Tangent(Elementary.Reduce(angle, out int quadrant));
            tangent = (quadrant & 1) != 0 ? Wide.Integer(-1) / tangent : tangent;
            result = SoftFloat.Round(tangent.ToUnpacked(), FloatFormat.Extended, ref unit.Status);
        }

        Replace(ref unit, result, result.IsNaN ? result : Unpacked.FromInt64(1));
    }

    // The sine of an angle plus a number of right angles.
    private static Unpacked Function(in Unpacked angle, int quadrants, ref FloatStatus status)
    {
        if (Exact(angle, ref status, out Unpacked result))
        {
            return quadrants == 0 || result.IsNaN ? result : Unpacked.FromInt64(1);
        }

        Wide reduced = Elementary.Reduce(angle, out int quadrant);
        quadrant += quadrants;
        Wide value = (quadrant & 1) != 0 ? Elementary.Cosine(reduced) : Elementary.Sine(reduced);
        return SoftFloat.Round(((quadrant & 2) != 0 ? -value : value).ToUnpacked(), FloatFormat.Extended, ref status);
    }

    // What has no series: NaNs, infinities, and zero, which is its own sine.
    private static bool Exact(in Unpacked angle, ref FloatStatus status, out Unpacked result)
    {
        if (SoftFloat.Special(angle, ref status, out result))
        {
            return true;
        }

        status.Flags |= angle.Denormal ? FloatFlags.Denormal : FloatFlags.None;
        result = angle.Class == FloatClass.Infinity ? SoftFloat.Invalid(ref status) : angle;
        return angle.Class != FloatClass.Finite;
    }

    // False where the instruction has ended: an empty stack, or an angle too large, which is left alone.
    private static bool Argument(ref X87Unit unit, out Unpacked angle)
    {
        angle = unit.Get(0);
        if (unit.IsEmpty(0))
        {
            unit.ClearC2();
            X87Arithmetic.Underflow(ref unit, 0);
            return false;
        }

        if (angle.Class == FloatClass.Finite && angle.Exponent >= FirstBeyond)
        {
            unit.Condition(X87Unit.C2);
            return false;
        }

        unit.ClearC2();
        return true;
    }

    // The same for what pushes a second result.
    private static bool PushArgument(ref X87Unit unit, out Unpacked angle)
    {
        angle = unit.Get(0);
        bool empty = unit.IsEmpty(0);
        if (!empty && unit.IsEmpty(7))
        {
            return Argument(ref unit, out angle);
        }

        unit.ClearC2();
        if (empty)
        {
            unit.Underflow();
        }
        else
        {
            unit.Overflows();
        }

        Replace(ref unit, Unpacked.Indefinite, Unpacked.Indefinite);
        return false;
    }

    private static void Replace(ref X87Unit unit, in Unpacked first, in Unpacked pushed)
    {
        if (!unit.Stopped)
        {
            unit.Set(0, first);
            unit.Push();
            unit.Set(0, pushed);
        }
    }
}
