using Dbt.Translator.FloatingPoint;

namespace Dbt.Translator.Interpretation.Portable;

/// <summary>Packed decimal: 18 digits, two in a byte, and a byte of which bit 7 is the sign (SDM vol. 1, 4.7).</summary>
internal static unsafe class X87Decimal
{
    private const long Limit = 1_000_000_000_000_000_000;

    /// <summary>FBLD. Digits above nine count as what they are.</summary>
    public static void Load(ref X87Unit unit, PortableX87 i)
    {
        Unpacked value = Unpacked.Indefinite;
        if (!unit.Overflows())
        {
            long number = 0;
            for (int place = 8; place >= 0; place--)
            {
                number = (number * 100) + ((unit.Memory[place] >> 4) * 10) + (unit.Memory[place] & 15);
            }

            value = Unpacked.FromInt64(number);
            value.Sign = (unit.Memory[9] & 0x80) != 0;
        }

        if (!unit.Stopped)
        {
            unit.Push();
            unit.Set(0, value);
        }
    }

    /// <summary>FBSTP.</summary>
    public static void Store(ref X87Unit unit, PortableX87 i)
    {
        bool valid = false, sign = false;
        long number = 0;
        if (unit.IsEmpty(0))
        {
            unit.Underflow();
        }
        else
        {
            Unpacked value = unit.Get(0);
            FloatStatus before = unit.Status;
            sign = value.Sign;
            number = SoftFloat.ToInteger(value, 64, ref unit.Status);
            valid = (unit.Status.Flags & FloatFlags.Invalid) == 0 && number > -Limit && number < Limit;
            if (!valid)
            {
                unit.Status = before;
                unit.Status.Flags |= FloatFlags.Invalid;
            }
        }

        if (unit.StoreStopped)
        {
            return;
        }

        if (valid)
        {
            ulong rest = (ulong)Math.Abs(number);
            for (int place = 0; place < 9; place++)
            {
                (rest, ulong pair) = Math.DivRem(rest, 100);
                unit.Memory[place] = (byte)(((pair / 10) << 4) | (pair % 10));
            }

            unit.Memory[9] = (byte)(sign ? 0x80 : 0);
        }
        else
        {
            // The packed decimal indefinite.
            *(ulong*)unit.Memory = 0xC000000000000000;
            *(ushort*)(unit.Memory + 8) = 0xFFFF;
        }

        unit.Pop(i.Pops);
    }
}
