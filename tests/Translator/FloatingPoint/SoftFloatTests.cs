using Dbt.Translator.FloatingPoint;

namespace Dbt.Tests.Translator.FloatingPoint;

/// <summary>The soft-float core against the runtime's own binary32 and binary64, which round to nearest.</summary>
public sealed class SoftFloatTests
{
    private const int Rounds = 20_000;

    private delegate Unpacked Operation(in Unpacked a, in Unpacked b, ref FloatStatus status);

    [Fact]
    public void BinaryArithmeticAgreesWithTheRuntime()
    {
        var random = new Random(1);
        for (int i = 0; i < Rounds; i++)
        {
            double a = Draw(random), b = Draw(random);
            Check(SoftFloat.Add, a, b, a + b, (float)a + (float)b);
            Check(SoftFloat.Subtract, a, b, a - b, (float)a - (float)b);
            Check(SoftFloat.Multiply, a, b, a * b, (float)a * (float)b);
            Check(SoftFloat.Divide, a, b, a / b, (float)a / (float)b);
            Check(Root, a, b, Math.Sqrt(a), MathF.Sqrt((float)a));
        }
    }

    [Fact]
    public void ConversionsAgreeWithTheRuntime()
    {
        var random = new Random(2);
        for (int i = 0; i < Rounds; i++)
        {
            double a = Draw(random);
            var status = FloatStatus.FromMxcsr(0x1F80);
            Unpacked unpacked = Unpacked.FromDouble(BitConverter.DoubleToUInt64Bits(a));
            Same((float)a, SoftFloat.Round(SoftFloat.Convert(unpacked, ref status), FloatFormat.Single, ref status).ToSingle(), $"(float){a:R}");
            long integer = random.NextInt64(long.MinValue, long.MaxValue) >> random.Next(64);
            Same((double)integer, SoftFloat.Round(Unpacked.FromInt64(integer), FloatFormat.Double, ref status).ToDouble(), $"(double){integer}");
            if (Math.Abs(a) < 9.2e18)
            {
                Assert.Equal((long)Math.Round(a, MidpointRounding.ToEven), SoftFloat.ToInteger(unpacked, 64, ref status));
            }
        }
    }

    [Theory]
    [InlineData(0x3F800000u, 0x33800000u, 0x1F80u, 0x3F800000u, 0x20u)] // 1 + 2^-24: a tie
    [InlineData(0x3F800000u, 0x33800000u, 0x5F80u, 0x3F800001u, 0x20u)] // the same, upward
    [InlineData(0x7F7FFFFFu, 0x7F7FFFFFu, 0x1F80u, 0x7F800000u, 0x28u)] // overflow
    [InlineData(0x7F7FFFFFu, 0x7F7FFFFFu, 0x7F80u, 0x7F7FFFFFu, 0x28u)] // the same, toward zero
    [InlineData(0x7F800001u, 0x7FC00002u, 0x1F80u, 0x7FC00001u, 0x01u)] // a signalling NaN comes first, quiet
    [InlineData(0x00000001u, 0x00000001u, 0x1F80u, 0x00000002u, 0x02u)] // an exact denormal is no underflow
    [InlineData(0x00000001u, 0x00000001u, 0x1FC0u, 0x00000000u, 0x00u)] // denormals are zeros
    [InlineData(0x00000001u, 0x00000001u, 0x9F80u, 0x00000000u, 0x32u)] // flushed to zero
    public void SumOfSingles(uint a, uint b, uint mxcsr, uint sum, uint flags)
    {
        var status = FloatStatus.FromMxcsr(mxcsr);
        Unpacked left = Unpacked.FromSingle(a, status.DenormalsAreZero), right = Unpacked.FromSingle(b, status.DenormalsAreZero);
        Assert.Equal(sum, SoftFloat.Round(SoftFloat.Add(left, right, ref status), FloatFormat.Single, ref status).ToSingle());
        Assert.Equal(flags, (uint)status.Flags);
    }

    private static Unpacked Root(in Unpacked a, in Unpacked b, ref FloatStatus status) => SoftFloat.SquareRoot(a, ref status);

    private static void Check(Operation operation, double a, double b, double wide, float narrow)
    {
        var status = FloatStatus.FromMxcsr(0x1F80);
        Unpacked x = Unpacked.FromDouble(BitConverter.DoubleToUInt64Bits(a)), y = Unpacked.FromDouble(BitConverter.DoubleToUInt64Bits(b));
        Same(wide, SoftFloat.Round(operation(x, y, ref status), FloatFormat.Double, ref status).ToDouble(), $"{operation.Method.Name} {a:R} {b:R}");
        x = Unpacked.FromSingle(BitConverter.SingleToUInt32Bits((float)a));
        y = Unpacked.FromSingle(BitConverter.SingleToUInt32Bits((float)b));
        Same(narrow, SoftFloat.Round(operation(x, y, ref status), FloatFormat.Single, ref status).ToSingle(), $"{operation.Method.Name} {(float)a:R} {(float)b:R}");
    }

    private static void Same(double expected, ulong actual, string what)
    {
        if (!double.IsNaN(expected) || !double.IsNaN(BitConverter.UInt64BitsToDouble(actual)))
        {
            Assert.True(BitConverter.DoubleToUInt64Bits(expected) == actual, $"{what}: {expected:R} {actual:X16}");
        }
    }

    private static void Same(float expected, uint actual, string what)
    {
        if (!float.IsNaN(expected) || !float.IsNaN(BitConverter.UInt32BitsToSingle(actual)))
        {
            Assert.True(BitConverter.SingleToUInt32Bits(expected) == actual, $"{what}: {expected:R} {actual:X8}");
        }
    }

    private static double Draw(Random random) => random.Next(8) switch
    {
        0 => random.Next(-8, 8),
        1 => BitConverter.UInt64BitsToDouble((ulong)random.NextInt64(long.MinValue, long.MaxValue)),
        2 => BitConverter.UInt32BitsToSingle((uint)random.NextInt64(1L << 32)),
        3 => Math.ScaleB(random.Next(1, 1 << 24), random.Next(-170, -120)),
        4 => Math.ScaleB(random.NextInt64(1, 1L << 53), random.Next(-1130, -1010)),
        5 => random.NextInt64() >> random.Next(60),
        _ => (random.NextDouble() - 0.5) * Math.ScaleB(1, random.Next(-5, 5)),
    };
}
