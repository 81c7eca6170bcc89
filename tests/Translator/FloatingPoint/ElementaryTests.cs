using Dbt.Translator.FloatingPoint;

namespace Dbt.Tests.Translator.FloatingPoint;

/// <summary>The elementary functions hold the identities that tie them to each other, to 115 bits: independently of any host.</summary>
public sealed class ElementaryTests
{
    private const int Bits = 115, Rounds = 300;

    private static readonly Wide One = Wide.Integer(1);

    [Fact]
    public void SquaresOfSineAndCosineAddUpToOne() => Each(-40, 0, angle =>
    {
        Wide reduced = Elementary.Reduce(angle, out _);
        Wide sine = Elementary.Sine(reduced), cosine = Elementary.Cosine(reduced);
        Near((sine * sine) + (cosine * cosine), One, angle);
    });

    [Fact]
    public void TheArcTangentUndoesTheTangent() => Each(-60, 0, ratio =>
    {
        ratio.Sign = false;
        Near(Elementary.Tangent(Elementary.ArcTangent(new Wide(ratio))), new Wide(ratio), ratio);
    });

    [Fact]
    public void TheSineOfTwiceAnAngleIsTwiceSineTimesCosine() => Each(-60, -2, angle =>
    {
        Wide once = new(angle);
        Near(Elementary.Sine(once.Scaled(1)), (Elementary.Sine(once) * Elementary.Cosine(once)).Scaled(1), angle);
    });

    [Fact]
    public void TheLogarithmUndoesThePower() => Each(-60, -1, x =>
        Near(Elementary.Log2OfOnePlus(Elementary.PowerMinusOne(new Wide(x))), new Wide(x), x));

    [Fact]
    public void TheLogarithmOfAProductIsTheSumOfTheLogarithms() => Each(1, 60, x =>
    {
        x.Sign = false;
        Wide wide = new(x);
        Near(Elementary.Log2(wide * wide * wide), Elementary.Log2(wide) * Wide.Integer(3), x);
    });

    [Fact]
    public void PiComesFromTheArcTangentOfOne() =>
        Near(Elementary.ArcTangent(One).Scaled(2), Elementary.Pi, Unpacked.FromInt64(1));

    [Fact]
    public void QuotientsTimesDivisorsAreDividends() => Each(-100, 100, x =>
    {
        Wide wide = Elementary.Pi * new Wide(x);
        Near(Elementary.Ln2 / wide * wide, Elementary.Ln2, x);
    });

    // A finite number of any sign with its exponent in a range.
    private static void Each(int lowest, int highest, Action<Unpacked> check)
    {
        var random = new Random(3);
        for (int i = 0; i < Rounds; i++)
        {
            check(Unpacked.Finite(random.Next(2) == 0, random.Next(lowest, highest), X87Vectors.Significand(random)));
        }
    }

    private static void Near(in Wide actual, in Wide expected, in Unpacked argument)
    {
        Wide error = actual - expected;
        Assert.True(
            error.IsZero || error.Exponent <= expected.Exponent - Bits,
            $"For {argument.Significand:X16} * 2^{argument.Exponent}: off by 2^{error.Exponent - expected.Exponent} of the result.");
    }
}
