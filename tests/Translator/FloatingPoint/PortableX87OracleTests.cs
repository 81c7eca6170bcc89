using Dbt.Tests.Translator.Oracle;
using Dbt.Translator;
using Dbt.Translator.Instructions;

namespace Dbt.Tests.Translator.FloatingPoint;

/// <summary>
/// An engine whose x87 is managed code, as one more engine under the oracle: memory operands, faults, and what instructions leave for
/// each other. Transcendental functions are left out, see <see cref="PortableX87Tests"/>. DBT_X87_VECTORS makes it longer.
/// </summary>
public sealed class PortableX87OracleTests
{
    private static int Vectors => int.TryParse(Environment.GetEnvironmentVariable("DBT_X87_VECTORS"), out int vectors) ? vectors : 16_384;

    [RequiresNative32Fact]
    public void SingleInstructionsAgreeWithTheHost() => Run("x87", Vectors);

    [RequiresNative32Fact]
    public void SequencesAgreeWithTheHost() => Run("sequences with floating point", Vectors / 4);

    private static void Run(string name, int vectors)
    {
        var options = new EngineOptions { Kind = EngineKind.Interpreter, PortableFloatingPoint = true };
        using var run = new OracleRun(1, () => [new GuestProcessor("portable", options)]);
        run.Run(OracleScenario.All(Wanted, 64).Single(scenario => scenario.Name == name), 1, vectors);
        Assert.True(run.Kinds == 0, run.Report());
        Assert.True(run.Unusable * 10 < run.Compared, run.Report());
    }

    private static bool Wanted(InstructionRow row) =>
        row.TestClass != TestClass.Simd && !PortableX87Tests.IsTranscendental(row.Mnemonic);
}
