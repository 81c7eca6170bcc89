using Dbt.Translator.FloatingPoint;
using Iced.Intel;

namespace Dbt.Translator.Interpretation.Portable;

/// <summary>What computes a number from one or two (SDM vol. 1, 8.3.5).</summary>
internal static class X87Arithmetic
{
    /// <summary>Scaling by more than this gives what scaling by this does: an overflow or underflow beyond every range.</summary>
    private const int FarthestScale = 0x10000;

    /// <summary>No denormal's exponent is as small, and no number's as large.</summary>
    private const int BeyondWrapping = 16383 + 64;

    /// <summary>FADD to FDIVR, with their popping and integer forms.</summary>
    public static void Binary(ref X87Unit unit, PortableX87 i)
    {
        if (!Operands(ref unit, i, out Unpacked a, out Unpacked b))
        {
            return;
        }

        Unpacked exact = i.Operation switch
        {
            Mnemonic.Fadd => SoftFloat.Add(a, b, ref unit.Status),
            Mnemonic.Fsub => SoftFloat.Subtract(a, b, ref unit.Status),
            Mnemonic.Fsubr => SoftFloat.Subtract(b, a, ref unit.Status),
            Mnemonic.Fmul => SoftFloat.Multiply(a, b, ref unit.Status),
            Mnemonic.Fdiv => SoftFloat.Divide(a, b, ref unit.Status),
            _ => SoftFloat.Divide(b, a, ref unit.Status),
        };
        Store(ref unit, i, exact);
    }

    /// <summary>FSQRT.</summary>
    public static void SquareRoot(ref X87Unit unit, PortableX87 i)
    {
        if (Operand(ref unit, out Unpacked a))
        {
            Store(ref unit, i, SoftFloat.SquareRoot(a, ref unit.Status));
        }
    }

    /// <summary>FRNDINT.</summary>
    public static void RoundToIntegral(ref X87Unit unit, PortableX87 i)
    {
        if (Operand(ref unit, out Unpacked a))
        {
            Unpacked value = SoftFloat.Convert(a, ref unit.Status);
            value = SoftFloat.RoundToIntegral(value, ref unit.Status);
            if (!unit.Stopped)
            {
                unit.Set(0, value);
            }
        }
    }

    /// <summary>FSCALE: ST(0) times 2 to the power of ST(1), truncated.</summary>
    public static void Scale(ref X87Unit unit, PortableX87 i)
    {
        if (unit.IsEmpty(0) || unit.IsEmpty(1))
        {
            Underflow(ref unit, 0);
            return;
        }

        Unpacked result = Scaled(unit.Get(0), unit.Get(1), ref unit.Status);
        result = SoftFloat.Round(result, FloatFormat.Extended, ref unit.Status);
        if (result.Class == FloatClass.Finite && Math.Abs(result.Exponent) > BeyondWrapping)
        {
            // Unmasked, and the wrapped exponent is out of range still.
            unit.Status.Flags |= FloatFlags.Inexact;
            unit.Status.RoundedUp = result.Exponent > 0;
            result = result.Exponent < 0 ? Unpacked.Zero(result.Sign) : Unpacked.Infinity(result.Sign);
        }

        if (!unit.Stopped)
        {
            unit.Set(0, result);
        }
    }

    /// <summary>FXTRACT: ST(0) becomes the exponent, and the significand is pushed.</summary>
    public static void Extract(ref X87Unit unit, PortableX87 i)
    {
        bool empty = unit.IsEmpty(0);
        Unpacked exponent, significand;
        if (empty)
        {
            unit.Underflow();
            exponent = significand = Unpacked.Indefinite;
        }
        else if (unit.Overflows())
        {
            exponent = significand = Unpacked.Indefinite;
        }
        else
        {
            significand = SoftFloat.Convert(unit.Get(0), ref unit.Status);
            exponent = significand;
            switch (significand.Class)
            {
                case FloatClass.Zero:
                    unit.Status.Flags |= FloatFlags.ZeroDivide;
                    exponent = Unpacked.Infinity(true);
                    break;
                case FloatClass.Infinity:
                    exponent.Sign = false;
                    break;
                case FloatClass.Finite:
                    exponent = Unpacked.FromInt64(significand.Exponent);
                    significand.Exponent = 0;
                    break;
            }
        }

        if (!unit.Stopped)
        {
            unit.Set(0, exponent);
            unit.Push();
            unit.Set(0, significand);
        }
    }

    /// <summary>A masked stack underflow gives the real indefinite.</summary>
    public static void Underflow(ref X87Unit unit, int destination)
    {
        unit.Underflow();
        if (!unit.Stopped)
        {
            unit.Set(destination, Unpacked.Indefinite);
        }
    }

    private static Unpacked Scaled(in Unpacked a, in Unpacked b, ref FloatStatus status)
    {
        if (SoftFloat.Special(a, b, ref status, out Unpacked nan))
        {
            return nan;
        }

        if (b.Class == FloatClass.Infinity && a.Class == (b.Sign ? FloatClass.Infinity : FloatClass.Zero))
        {
            return SoftFloat.Invalid(ref status);
        }

        status.Flags |= a.Denormal || b.Denormal ? FloatFlags.Denormal : FloatFlags.None;
        if (b.Class == FloatClass.Infinity)
        {
            return b.Sign ? Unpacked.Zero(a.Sign) : Unpacked.Infinity(a.Sign);
        }

        Unpacked result = a;
        if (a.Class == FloatClass.Finite && b.Class == FloatClass.Finite && b.Exponent >= 0)
        {
            int by = b.Exponent > 15 ? FarthestScale : (int)(b.Significand >> (63 - b.Exponent));
            result.Exponent += b.Sign ? -by : by;
        }

        result.Denormal = false;
        return result;
    }

    private static bool Operand(ref X87Unit unit, out Unpacked a)
    {
        a = unit.Get(0);
        if (!unit.IsEmpty(0))
        {
            return true;
        }

        Underflow(ref unit, 0);
        return false;
    }

    // Destination first, source second. False where a register is empty, which has then been dealt with.
    private static bool Operands(ref X87Unit unit, PortableX87 i, out Unpacked a, out Unpacked b)
    {
        a = unit.Get(i.First);
        b = i.HasMemory ? i.ReadMemory(in unit) : unit.Get(i.Second);
        if (!unit.IsEmpty(i.First) && (i.HasMemory || !unit.IsEmpty(i.Second)))
        {
            return true;
        }

        Underflow(ref unit, i.First);
        if (!unit.Stopped)
        {
            unit.Pop(i.Pops);
        }

        return false;
    }

    private static void Store(ref X87Unit unit, PortableX87 i, in Unpacked exact)
    {
        if (unit.Stopped)
        {
            return;
        }

        unit.Set(i.First, SoftFloat.Round(exact, unit.Precision, ref unit.Status));
        unit.Pop(i.Pops);
    }
}
