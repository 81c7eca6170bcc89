using Dbt.Translator.FloatingPoint;
using Iced.Intel;

namespace Dbt.Translator.Simd;

// Between integers, binary32 and binary64; rounding to integral values.
internal static unsafe partial class SimdTable
{
    private static void AddConversions()
    {
        Add(Mnemonic.Cvtdq2ps, (in SimdOperands o) => FromIntegers(in o, wide: false, 4));
        Add(Mnemonic.Cvtdq2pd, (in SimdOperands o) => FromIntegers(in o, wide: true, 2));
        Add(Mnemonic.Cvtpi2ps, (in SimdOperands o) => FromIntegers(in o, wide: false, 2));
        Add(Mnemonic.Cvtpi2pd, (in SimdOperands o) => FromIntegers(in o, wide: true, 2));
        Add(Mnemonic.Cvtsi2ss, (in SimdOperands o) => FromIntegers(in o, wide: false, 1));
        Add(Mnemonic.Cvtsi2sd, (in SimdOperands o) => FromIntegers(in o, wide: true, 1));

        // The narrow results of packed binary64 have zeros above; MMX registers end there.
        Add(Mnemonic.Cvtps2dq, (in SimdOperands o) => ToIntegers(in o, wide: false, 4, truncate: false));
        Add(Mnemonic.Cvttps2dq, (in SimdOperands o) => ToIntegers(in o, wide: false, 4, truncate: true));
        Add(Mnemonic.Cvtpd2dq, (in SimdOperands o) => ToIntegers(in o, wide: true, 2, truncate: false, clear: true));
        Add(Mnemonic.Cvttpd2dq, (in SimdOperands o) => ToIntegers(in o, wide: true, 2, truncate: true, clear: true));
        Add(Mnemonic.Cvtps2pi, (in SimdOperands o) => ToIntegers(in o, wide: false, 2, truncate: false));
        Add(Mnemonic.Cvttps2pi, (in SimdOperands o) => ToIntegers(in o, wide: false, 2, truncate: true));
        Add(Mnemonic.Cvtpd2pi, (in SimdOperands o) => ToIntegers(in o, wide: true, 2, truncate: false));
        Add(Mnemonic.Cvttpd2pi, (in SimdOperands o) => ToIntegers(in o, wide: true, 2, truncate: true));
        Add(Mnemonic.Cvtss2si, (in SimdOperands o) => ToIntegers(in o, wide: false, 1, truncate: false));
        Add(Mnemonic.Cvttss2si, (in SimdOperands o) => ToIntegers(in o, wide: false, 1, truncate: true));
        Add(Mnemonic.Cvtsd2si, (in SimdOperands o) => ToIntegers(in o, wide: true, 1, truncate: false));
        Add(Mnemonic.Cvttsd2si, (in SimdOperands o) => ToIntegers(in o, wide: true, 1, truncate: true));

        Add(Mnemonic.Cvtps2pd, (in SimdOperands o) => ChangeFormat(in o, widen: true, 2));
        Add(Mnemonic.Cvtss2sd, (in SimdOperands o) => ChangeFormat(in o, widen: true, 1));
        Add(Mnemonic.Cvtpd2ps, (in SimdOperands o) => ChangeFormat(in o, widen: false, 2, clear: true));
        Add(Mnemonic.Cvtsd2ss, (in SimdOperands o) => ChangeFormat(in o, widen: false, 1));

        Add(Mnemonic.Roundps, (in SimdOperands o) => RoundLanes(in o, wide: false, 4));
        Add(Mnemonic.Roundpd, (in SimdOperands o) => RoundLanes(in o, wide: true, 2));
        Add(Mnemonic.Roundss, (in SimdOperands o) => RoundLanes(in o, wide: false, 1));
        Add(Mnemonic.Roundsd, (in SimdOperands o) => RoundLanes(in o, wide: true, 1));
    }

    private static void FromIntegers(in SimdOperands o, bool wide, int count)
    {
        var lanes = new FloatLanes(in o, wide);
        int* integers = stackalloc int[4];
        for (int i = 0; i < count; i++)
        {
            integers[i] = ((int*)o.Second)[i];
        }

        for (int i = 0; i < count; i++)
        {
            lanes.Write(o.Result, i, lanes.Round(Unpacked.FromInt64(integers[i])));
        }

        lanes.Finish();
    }

    private static void ToIntegers(in SimdOperands o, bool wide, int count, bool truncate, bool clear = false)
    {
        var lanes = new FloatLanes(in o, wide);
        if (truncate)
        {
            lanes.Status.Rounding = FloatRounding.Zero;
        }

        for (int i = 0; i < count; i++)
        {
            ((int*)o.Result)[i] = (int)SoftFloat.ToInteger(lanes.Read(o.Second, i), 32, ref lanes.Status);
        }

        if (clear)
        {
            ((ulong*)o.Result)[1] = 0;
        }

        lanes.Finish();
    }

    private static void ChangeFormat(in SimdOperands o, bool widen, int count, bool clear = false)
    {
        // Read in one format and written in the other: the exceptions are those of the reading side.
        var from = new FloatLanes(in o, !widen);
        var to = new FloatLanes(in o, widen);
        for (int i = 0; i < count; i++)
        {
            Unpacked value = SoftFloat.Convert(from.Read(o.Second, i), ref from.Status);
            to.Write(o.Result, i, SoftFloat.Round(value, to.Format, ref from.Status));
        }

        if (clear)
        {
            ((ulong*)o.Result)[1] = 0;
        }

        from.Finish();
    }

    // Bits 0 and 1 name the rounding, or MXCSR does (bit 2); bit 3 keeps quiet about inexact results.
    private static void RoundLanes(in SimdOperands o, bool wide, int count)
    {
        var lanes = new FloatLanes(in o, wide);
        if ((o.Immediate & 4) == 0)
        {
            lanes.Status.Rounding = (FloatRounding)(o.Immediate & 3);
        }

        for (int i = 0; i < count; i++)
        {
            Unpacked value = lanes.Read(o.Second, i);
            if (!SoftFloat.Special(value, ref lanes.Status, out Unpacked result))
            {
                result = SoftFloat.RoundToIntegral(value, ref lanes.Status);
            }

            lanes.Write(o.Result, i, result);
        }

        if ((o.Immediate & 8) != 0)
        {
            lanes.Status.Flags &= ~FloatFlags.Inexact;
        }

        lanes.Finish();
    }
}
