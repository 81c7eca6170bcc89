using Dbt.Tests.Translator.Oracle;
using Dbt.Translator;
using Dbt.Translator.Instructions;
using Iced.Intel;

namespace Dbt.Tests.Translator.Simd;

/// <summary>
/// An engine whose MMX and SSE are managed code, under the oracle: operands in memory, faults, and unmasked exceptions, which the caller
/// of a routine deals with. DBT_SIMD_VECTORS makes it longer.
/// </summary>
public sealed class PortableSimdOracleTests
{
    private static int Vectors => int.TryParse(Environment.GetEnvironmentVariable("DBT_SIMD_VECTORS"), out int vectors) ? vectors / 10 : 16_384;

    [RequiresNative32Fact]
    public void SingleInstructionsAgreeWithTheHost()
    {
        var options = new EngineOptions { Kind = EngineKind.Interpreter, PortableFloatingPoint = true };
        using var run = new OracleRun(1, () => [new GuestProcessor("portable", options)]);
        run.Run(OracleScenario.All(Wanted, 64).Single(scenario => scenario.Name == "MMX and SSE"), 1, Vectors);
        Assert.True(run.Kinds == 0, run.Report());
        Assert.True(run.Unusable * 10 < run.Compared, run.Report());
    }

    // Estimates differ from processor to processor.
    private static bool Wanted(InstructionRow row) =>
        row.TestClass == TestClass.Simd && row.Mnemonic is not (Mnemonic.Rcpps or Mnemonic.Rcpss or Mnemonic.Rsqrtps or Mnemonic.Rsqrtss);
}
