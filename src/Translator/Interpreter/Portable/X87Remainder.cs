using Dbt.Translator.FloatingPoint;
using Iced.Intel;

namespace Dbt.Translator.Interpretation.Portable;

/// <summary>FPREM and FPREM1: exact remainders, in steps where the quotient has more than 63 bits (SDM vol. 2, FPREM).</summary>
internal static class X87Remainder
{
    /// <summary>Both.</summary>
    public static void Execute(ref X87Unit unit, PortableX87 i)
    {
        unit.ClearC2();
        if (unit.IsEmpty(0) || unit.IsEmpty(1))
        {
            X87Arithmetic.Underflow(ref unit, 0);
            return;
        }

        ulong quotient = 0;
        bool partial = false;
        Unpacked result = Remainder(unit.Get(0), unit.Get(1), i.Mnemonic == Mnemonic.Fprem1, ref unit.Status, ref quotient, ref partial);
        if (unit.Stopped)
        {
            return;
        }

        result = SoftFloat.Round(result, FloatFormat.Extended, ref unit.Status);
        unit.Set(0, result);
        if (result.IsNaN)
        {
            return;
        }

        if (partial)
        {
            unit.Conditions(X87Unit.C2);
            return;
        }

        unit.Conditions(((quotient & 4) != 0 ? X87Unit.C0 : 0) | ((quotient & 2) != 0 ? X87Unit.C3 : 0));
        if ((quotient & 1) != 0)
        {
            unit.Condition(X87Unit.C1);
        }
    }

    private static Unpacked Remainder(in Unpacked a, in Unpacked b, bool nearest, ref FloatStatus status, ref ulong quotient, ref bool partial)
    {
        if (SoftFloat.Special(a, b, ref status, out Unpacked nan))
        {
            return nan;
        }

        if (a.Class == FloatClass.Infinity || b.Class == FloatClass.Zero)
        {
            return SoftFloat.Invalid(ref status);
        }

        status.Flags |= a.Denormal || b.Denormal ? FloatFlags.Denormal : FloatFlags.None;
        int difference = a.Exponent - b.Exponent;
        if (a.Class == FloatClass.Zero || b.Class == FloatClass.Infinity || difference < -1)
        {
            return a;
        }

        if (difference >= 64)
        {
            // As many bits of the quotient as leave a multiple of 32 for the next steps; toward zero, also for FPREM1.
            int step = 32 + (difference & 31);
            partial = true;
            return Scaled(a.Sign, b.Exponent + difference - step, (ulong)(((UInt128)a.Significand << step) % b.Significand));
        }

        // In units of b's last place, or half of that where a is the smaller.
        int below = difference < 0 ? 1 : 0;
        UInt128 dividend = (UInt128)a.Significand << (difference + below), divisor = (UInt128)b.Significand << below;
        UInt128 whole = dividend / divisor, rest = dividend - (whole * divisor);
        quotient = (ulong)whole;
        bool sign = a.Sign;
        if (nearest && (rest << 1 > divisor || (rest << 1 == divisor && (quotient & 1) != 0)))
        {
            rest = divisor - rest;
            sign = !sign;
            quotient++;
        }

        return rest == 0 ? Unpacked.Zero(a.Sign) : SoftFloat.Make(sign, b.Exponent - below + 64, rest);
    }

    private static Unpacked Scaled(bool sign, int exponent, ulong significand) =>
        significand == 0 ? Unpacked.Zero(sign) : Unpacked.Finite(sign, exponent, significand);
}
