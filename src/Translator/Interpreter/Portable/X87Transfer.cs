using Dbt.Translator.FloatingPoint;
using Iced.Intel;

namespace Dbt.Translator.Interpretation.Portable;

/// <summary>Loads, stores, exchanges and what moves the stack (SDM vol. 1, 8.3.3, 8.3.4).</summary>
internal static unsafe class X87Transfer
{
    /// <summary>FLD of every kind, FILD.</summary>
    public static void Load(ref X87Unit unit, PortableX87 i)
    {
        if (!i.HasMemory)
        {
            LoadRegister(ref unit, i.First);
            return;
        }

        Unpacked value;
        if (unit.Overflows())
        {
            value = Unpacked.Indefinite;
        }
        else if (i.Memory == MemorySize.Float80)
        {
            // Every encoding passes unchanged.
            ushort head = *(ushort*)(unit.Memory + 8);
            ulong significand = *(ulong*)unit.Memory;
            unit.Push();
            unit.SetRaw(0, head, significand);
            return;
        }
        else
        {
            value = SoftFloat.Convert(i.ReadMemory(in unit), ref unit.Status);
        }

        // A denormal is loaded also where its exception is unmasked.
        if ((unit.Status.Unmasked & FloatFlags.Invalid) == 0)
        {
            unit.Push();
            unit.Set(0, value);
        }
    }

    /// <summary>FLD1, FLDPI and their kind: rounded as the control word says, exceptions never.</summary>
    public static void LoadConstant(ref X87Unit unit, PortableX87 i)
    {
        Unpacked value;
        if (unit.Overflows())
        {
            value = Unpacked.Indefinite;
        }
        else
        {
            // 66 bits or more of each; what follows them is not zero.
            (int Exponent, ulong High, ulong Low) constant = i.Mnemonic switch
            {
                Mnemonic.Fldpi => (1, 0xC90FDAA22168C234, 0xC4C6628B80DC1CD1),
                Mnemonic.Fldl2e => (0, 0xB8AA3B295C17F0BB, 0xBE87FED0691D3E88),
                Mnemonic.Fldl2t => (1, 0xD49A784BCD1B8AFE, 0x492BF6FF4DAFDB4C),
                Mnemonic.Fldlg2 => (-2, 0x9A209A84FBCFF798, 0x8F8959AC0B7C9178),
                Mnemonic.Fldln2 => (-1, 0xB17217F7D1CF79AB, 0xC9E3B39803F2F6AF),
                _ => (0, 1UL << 63, 0UL),
            };
            FloatStatus rounding = unit.Status;
            value = i.Mnemonic == Mnemonic.Fldz
                ? Unpacked.Zero(false)
                : SoftFloat.Round(SoftFloat.Make(false, constant.Exponent, new UInt128(constant.High, constant.Low)), FloatFormat.Extended, ref rounding);
        }

        if (!unit.Stopped)
        {
            unit.Push();
            unit.Set(0, value);
        }
    }

    /// <summary>FST, FSTP.</summary>
    public static void Store(ref X87Unit unit, PortableX87 i)
    {
        if (!i.HasMemory)
        {
            StoreRegister(ref unit, i);
            return;
        }

        Unpacked value = unit.Get(0);
        if (unit.IsEmpty(0))
        {
            unit.Underflow();
            value = Unpacked.Indefinite;
        }
        else if (i.Memory == MemorySize.Float80)
        {
            ushort raw = unit.GetRaw(0, out ulong bits);
            *(ulong*)unit.Memory = bits;
            *(ushort*)(unit.Memory + 8) = raw;
            unit.Pop(i.Pops);
            return;
        }
        else
        {
            // A denormal is no exception here.
            value.Denormal = false;
            value = SoftFloat.Convert(value, ref unit.Status);
            value = SoftFloat.Round(value, i.Memory == MemorySize.Float32 ? FloatFormat.Single : FloatFormat.Double, ref unit.Status);
        }

        if (unit.StoreStopped)
        {
            // Nothing was rounded then, as far as the status word tells.
            unit.Status.Flags &= ~FloatFlags.Inexact;
            unit.Status.RoundedUp = false;
            return;
        }

        switch (i.Memory)
        {
            case MemorySize.Float32:
                *(uint*)unit.Memory = value.ToSingle();
                break;
            case MemorySize.Float64:
                *(ulong*)unit.Memory = value.ToDouble();
                break;
            default:
                ushort head = value.ToExtended(out ulong significand);
                *(ulong*)unit.Memory = significand;
                *(ushort*)(unit.Memory + 8) = head;
                break;
        }

        unit.Pop(i.Pops);
    }

    /// <summary>FIST, FISTP, FISTTP.</summary>
    public static void StoreInteger(ref X87Unit unit, PortableX87 i)
    {
        int bits = i.Memory switch { MemorySize.Int16 => 16, MemorySize.Int32 => 32, _ => 64 };
        long value = long.MinValue >> (64 - bits);
        if (unit.IsEmpty(0))
        {
            unit.Underflow();
        }
        else
        {
            FloatRounding rounding = unit.Status.Rounding;
            unit.Status.Rounding = i.Mnemonic == Mnemonic.Fisttp ? FloatRounding.Zero : rounding;
            value = SoftFloat.ToInteger(unit.Get(0), bits, ref unit.Status);
        }

        if (unit.StoreStopped)
        {
            return;
        }

        switch (bits)
        {
            case 16:
                *(short*)unit.Memory = (short)value;
                break;
            case 32:
                *(int*)unit.Memory = (int)value;
                break;
            default:
                *(long*)unit.Memory = value;
                break;
        }

        unit.Pop(i.Pops);
    }

    /// <summary>FXCH: an empty register counts as the real indefinite.</summary>
    public static void Exchange(ref X87Unit unit, PortableX87 i)
    {
        int other = i.Second >= 0 ? i.Second : i.First;
        bool emptyTop = unit.IsEmpty(0), emptyOther = unit.IsEmpty(other);
        if (emptyTop || emptyOther)
        {
            unit.Underflow();
            if (unit.Stopped)
            {
                return;
            }
        }

        ushort head = unit.GetRaw(0, out ulong significand);
        ushort otherHead = unit.GetRaw(other, out ulong otherSignificand);
        unit.SetRaw(other, emptyTop ? (ushort)0xFFFF : head, emptyTop ? 3UL << 62 : significand);
        unit.SetRaw(0, emptyOther ? (ushort)0xFFFF : otherHead, emptyOther ? 3UL << 62 : otherSignificand);
    }

    /// <summary>FCMOVcc. Empty registers fault also where nothing is moved.</summary>
    public static void Conditional(ref X87Unit unit, PortableX87 i)
    {
        if (unit.IsEmpty(0) || unit.IsEmpty(i.Second))
        {
            X87Arithmetic.Underflow(ref unit, 0);
            return;
        }

        uint flags = unit.Registers->Eflags;
        bool carry = (flags & 1) != 0, parity = (flags & 4) != 0, zero = (flags & 0x40) != 0;
        bool moves = i.Mnemonic switch
        {
            Mnemonic.Fcmovb => carry,
            Mnemonic.Fcmovbe => carry || zero,
            Mnemonic.Fcmove => zero,
            Mnemonic.Fcmovu => parity,
            Mnemonic.Fcmovnb => !carry,
            Mnemonic.Fcmovnbe => !carry && !zero,
            Mnemonic.Fcmovne => !zero,
            _ => !parity,
        };
        if (moves)
        {
            ushort head = unit.GetRaw(i.Second, out ulong significand);
            unit.SetRaw(0, head, significand);
        }
    }

    /// <summary>FCHS, FABS: of the sign bit alone, whatever the rest is.</summary>
    public static void ChangeSign(ref X87Unit unit, PortableX87 i)
    {
        if (unit.IsEmpty(0))
        {
            X87Arithmetic.Underflow(ref unit, 0);
            return;
        }

        ushort head = unit.GetRaw(0, out ulong significand);
        unit.SetRaw(0, (ushort)(i.Mnemonic == Mnemonic.Fabs ? head & 0x7FFF : head ^ 0x8000), significand);
    }

    /// <summary>FFREE, FFREEP.</summary>
    public static void Free(ref X87Unit unit, PortableX87 i)
    {
        unit.Free(i.First);
        if (i.Pops != 0)
        {
            unit.Pop();
        }
    }

    /// <summary>FINCSTP: not a pop, tags stay.</summary>
    public static void IncrementTop(ref X87Unit unit, PortableX87 i) => unit.Turn(1);

    /// <summary>FDECSTP.</summary>
    public static void DecrementTop(ref X87Unit unit, PortableX87 i) => unit.Turn(7);

    private static void LoadRegister(ref X87Unit unit, int source)
    {
        ushort head = unit.GetRaw(source, out ulong significand);
        bool empty = unit.IsEmpty(source);
        if (empty)
        {
            unit.Underflow();
        }

        if (empty || unit.Overflows())
        {
            head = Unpacked.Indefinite.ToExtended(out significand);
        }

        if (!unit.Stopped)
        {
            unit.Push();
            unit.SetRaw(0, head, significand);
        }
    }

    // FSTPNCE (D9 D8) raises nothing: an empty ST(0) is popped without being stored.
    private static void StoreRegister(ref X87Unit unit, PortableX87 i)
    {
        bool empty = unit.IsEmpty(0);
        if (empty && i.Mnemonic != Mnemonic.Fstpnce)
        {
            X87Arithmetic.Underflow(ref unit, i.First);
        }
        else if (!empty)
        {
            ushort head = unit.GetRaw(0, out ulong significand);
            unit.SetRaw(i.First, head, significand);
        }

        if (!unit.Stopped)
        {
            unit.Pop(i.Pops);
        }
    }
}
