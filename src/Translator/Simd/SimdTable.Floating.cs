using Dbt.Translator.FloatingPoint;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Simd;

// Arithmetic and comparisons of binary32 and binary64, on the soft-float core.
internal static unsafe partial class SimdTable
{
    private delegate Unpacked FloatOperation(in Unpacked left, in Unpacked right, ref FloatStatus status);

    private static void AddFloating()
    {
        AddFloat(SoftFloat.Add, Mnemonic.Addps, Mnemonic.Addpd, Mnemonic.Addss, Mnemonic.Addsd);
        AddFloat(SoftFloat.Subtract, Mnemonic.Subps, Mnemonic.Subpd, Mnemonic.Subss, Mnemonic.Subsd);
        AddFloat(SoftFloat.Multiply, Mnemonic.Mulps, Mnemonic.Mulpd, Mnemonic.Mulss, Mnemonic.Mulsd);
        AddFloat(SoftFloat.Divide, Mnemonic.Divps, Mnemonic.Divpd, Mnemonic.Divss, Mnemonic.Divsd);
        AddFloat(
            (in Unpacked _, in Unpacked value, ref FloatStatus status) => SoftFloat.SquareRoot(value, ref status),
            Mnemonic.Sqrtps, Mnemonic.Sqrtpd, Mnemonic.Sqrtss, Mnemonic.Sqrtsd);
        AddChoice(FloatRelation.Less, Mnemonic.Minps, Mnemonic.Minpd, Mnemonic.Minss, Mnemonic.Minsd);
        AddChoice(FloatRelation.Greater, Mnemonic.Maxps, Mnemonic.Maxpd, Mnemonic.Maxss, Mnemonic.Maxsd);
        Add(Mnemonic.Cmpps, (in SimdOperands o) => CompareLanes(in o, wide: false, 4));
        Add(Mnemonic.Cmppd, (in SimdOperands o) => CompareLanes(in o, wide: true, 2));
        Add(Mnemonic.Cmpss, (in SimdOperands o) => CompareLanes(in o, wide: false, 1));
        Add(Mnemonic.Cmpsd, (in SimdOperands o) => CompareLanes(in o, wide: true, 1));
        Add(Mnemonic.Comiss, (in SimdOperands o) => CompareToFlags(in o, wide: false, quiet: false));
        Add(Mnemonic.Comisd, (in SimdOperands o) => CompareToFlags(in o, wide: true, quiet: false));
        Add(Mnemonic.Ucomiss, (in SimdOperands o) => CompareToFlags(in o, wide: false, quiet: true));
        Add(Mnemonic.Ucomisd, (in SimdOperands o) => CompareToFlags(in o, wide: true, quiet: true));

        Add(Mnemonic.Haddps, (in SimdOperands o) => Neighbours(in o, wide: false, SoftFloat.Add));
        Add(Mnemonic.Haddpd, (in SimdOperands o) => Neighbours(in o, wide: true, SoftFloat.Add));
        Add(Mnemonic.Hsubps, (in SimdOperands o) => Neighbours(in o, wide: false, SoftFloat.Subtract));
        Add(Mnemonic.Hsubpd, (in SimdOperands o) => Neighbours(in o, wide: true, SoftFloat.Subtract));
        Add(Mnemonic.Addsubps, (in SimdOperands o) => Alternate(in o, wide: false));
        Add(Mnemonic.Addsubpd, (in SimdOperands o) => Alternate(in o, wide: true));
        Add(Mnemonic.Dpps, (in SimdOperands o) => DotProduct(in o, wide: false));
        Add(Mnemonic.Dppd, (in SimdOperands o) => DotProduct(in o, wide: true));
    }

    private static void AddFloat(FloatOperation operation, Mnemonic ps, Mnemonic pd, Mnemonic ss, Mnemonic sd)
    {
        Add(ps, (in SimdOperands o) => Compute(in o, wide: false, 4, operation));
        Add(pd, (in SimdOperands o) => Compute(in o, wide: true, 2, operation));
        Add(ss, (in SimdOperands o) => Compute(in o, wide: false, 1, operation));
        Add(sd, (in SimdOperands o) => Compute(in o, wide: true, 1, operation));
    }

    private static void AddChoice(FloatRelation first, Mnemonic ps, Mnemonic pd, Mnemonic ss, Mnemonic sd)
    {
        Add(ps, (in SimdOperands o) => Choose(in o, wide: false, 4, first));
        Add(pd, (in SimdOperands o) => Choose(in o, wide: true, 2, first));
        Add(ss, (in SimdOperands o) => Choose(in o, wide: false, 1, first));
        Add(sd, (in SimdOperands o) => Choose(in o, wide: true, 1, first));
    }

    private static void Compute(in SimdOperands o, bool wide, int count, FloatOperation operation)
    {
        var lanes = new FloatLanes(in o, wide);
        for (int i = 0; i < count; i++)
        {
            lanes.Write(o.Result, i, lanes.Round(operation(lanes.Read(o.First, i), lanes.Read(o.Second, i), ref lanes.Status)));
        }

        lanes.Finish();
    }

    // The first operand only where it is truly less (greater): NaNs and two zeros give the second, as it is.
    private static void Choose(in SimdOperands o, bool wide, int count, FloatRelation first)
    {
        var lanes = new FloatLanes(in o, wide);
        for (int i = 0; i < count; i++)
        {
            FloatRelation relation = SoftFloat.Compare(lanes.Read(o.First, i), lanes.Read(o.Second, i), quiet: false, ref lanes.Status);
            lanes.WriteBits(o.Result, i, lanes.Bits(relation == first ? o.First : o.Second, i));
        }

        lanes.Finish();
    }

    // Predicates EQ, LT, LE, UNORD and their opposites; LT and LE do not take quiet NaNs quietly.
    private static void CompareLanes(in SimdOperands o, bool wide, int count)
    {
        var lanes = new FloatLanes(in o, wide);
        for (int i = 0; i < count; i++)
        {
            bool quiet = (o.Immediate & 3) is 0 or 3;
            FloatRelation relation = SoftFloat.Compare(lanes.Read(o.First, i), lanes.Read(o.Second, i), quiet, ref lanes.Status);
            bool holds = (o.Immediate & 3) switch
            {
                0 => relation == FloatRelation.Equal,
                1 => relation == FloatRelation.Less,
                2 => relation is FloatRelation.Less or FloatRelation.Equal,
                _ => relation == FloatRelation.Unordered,
            };
            lanes.WriteBits(o.Result, i, holds != ((o.Immediate & 4) != 0) ? ulong.MaxValue : 0);
        }

        lanes.Finish();
    }

    private static void CompareToFlags(in SimdOperands o, bool wide, bool quiet)
    {
        var lanes = new FloatLanes(in o, wide);
        SetFlags(in o, SoftFloat.Compare(lanes.Read(o.First, 0), lanes.Read(o.Second, 0), quiet, ref lanes.Status) switch
        {
            FloatRelation.Unordered => Flags.Zf | Flags.Pf | Flags.Cf,
            FloatRelation.Less => Flags.Cf,
            FloatRelation.Equal => Flags.Zf,
            _ => 0,
        });
        lanes.Finish();
    }

    // Neighbours of operand 0 make the lower half, those of operand 1 the upper.
    private static void Neighbours(in SimdOperands o, bool wide, FloatOperation operation)
    {
        var lanes = new FloatLanes(in o, wide);
        int half = wide ? 1 : 2;
        for (int i = 0; i < 2 * half; i++)
        {
            byte* from = i < half ? o.First : o.Second;
            int lane = 2 * (i % half);
            lanes.Write(o.Result, i, lanes.Round(operation(lanes.Read(from, lane), lanes.Read(from, lane + 1), ref lanes.Status)));
        }

        lanes.Finish();
    }

    // Even lanes are subtracted, odd ones added.
    private static void Alternate(in SimdOperands o, bool wide)
    {
        var lanes = new FloatLanes(in o, wide);
        for (int i = 0; i < (wide ? 2 : 4); i++)
        {
            Unpacked left = lanes.Read(o.First, i), right = lanes.Read(o.Second, i);
            Unpacked result = (i & 1) == 0 ? SoftFloat.Subtract(left, right, ref lanes.Status) : SoftFloat.Add(left, right, ref lanes.Status);
            lanes.Write(o.Result, i, lanes.Round(result));
        }

        lanes.Finish();
    }

    // Products that bits 4 to 7 choose, summed by pairs, each step rounded, to the lanes that bits 0 to 3 choose.
    private static void DotProduct(in SimdOperands o, bool wide)
    {
        var lanes = new FloatLanes(in o, wide);
        int count = wide ? 2 : 4;
        Unpacked* terms = stackalloc Unpacked[4];
        for (int i = 0; i < count; i++)
        {
            terms[i] = (o.Immediate >> (4 + i) & 1) == 0
                ? Unpacked.Zero(false)
                : Intermediate(ref lanes, SoftFloat.Multiply(lanes.Read(o.First, i), lanes.Read(o.Second, i), ref lanes.Status));
        }

        for (int i = count / 2; i != 0; i /= 2)
        {
            for (int j = 0; j < i; j++)
            {
                terms[j] = Intermediate(ref lanes, SoftFloat.Add(terms[2 * j], terms[(2 * j) + 1], ref lanes.Status));
            }
        }

        for (int i = 0; i < count; i++)
        {
            lanes.Write(o.Result, i, (o.Immediate >> i & 1) != 0 ? terms[0] : Unpacked.Zero(false));
        }

        lanes.Finish();
    }

    // As an operand of the next step: a denormal is one again, or a zero under DAZ.
    private static Unpacked Intermediate(ref FloatLanes lanes, in Unpacked value)
    {
        byte* lane = stackalloc byte[8];
        lanes.Write(lane, 0, lanes.Round(value));
        return lanes.Read(lane, 0);
    }
}
