using Iced.Intel;

namespace Dbt.Translator.Simd;

// RCPPS and RSQRTPS. Each processor has a table of its own for them; all that is promised is a relative error of at most
// 1.5 * 2^-12 (SDM vol. 2, RCPPS). Here the result is the correctly rounded one cut to 12 bits of fraction.
internal static unsafe partial class SimdTable
{
    private const uint SignBit = 0x80000000, Infinity = 0x7F800000, QuietBit = 0x00400000, Indefinite = 0xFFC00000;
    private const uint LeastNormal = 0x00800000, EstimateBits = 0xFFFFF800, EstimateHalf = 0x400;

    private static void AddEstimates()
    {
        Add(Mnemonic.Rcpps, (in SimdOperands o) => Estimate(in o, 4, Reciprocal));
        Add(Mnemonic.Rcpss, (in SimdOperands o) => Estimate(in o, 1, Reciprocal));
        Add(Mnemonic.Rsqrtps, (in SimdOperands o) => Estimate(in o, 4, ReciprocalRoot));
        Add(Mnemonic.Rsqrtss, (in SimdOperands o) => Estimate(in o, 1, ReciprocalRoot));
    }

    // Neither raises exceptions; denormals are zeros, going in and coming out.
    private static void Estimate(in SimdOperands o, int count, Func<uint, uint> estimate)
    {
        for (int i = 0; i < count; i++)
        {
            uint bits = ((uint*)o.Second)[i];
            uint magnitude = bits & ~SignBit;
            ((uint*)o.Result)[i] = magnitude > Infinity ? bits | QuietBit
                : magnitude < LeastNormal ? (bits & SignBit) | Infinity
                : estimate(bits);
        }
    }

    private static uint Reciprocal(uint bits)
    {
        double exact = 1.0 / BitConverter.UInt32BitsToSingle(bits);
        return Math.Abs(exact) < BitConverter.UInt32BitsToSingle(LeastNormal) ? bits & SignBit : Cut(exact);
    }

    private static uint ReciprocalRoot(uint bits) =>
        (bits & SignBit) != 0 ? Indefinite : Cut(1.0 / Math.Sqrt(BitConverter.UInt32BitsToSingle(bits)));

    private static uint Cut(double value) => (BitConverter.SingleToUInt32Bits((float)value) + EstimateHalf) & EstimateBits;
}
