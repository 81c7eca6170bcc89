using Dbt.Translator;
using Dbt.Translator.Instructions;
using Iced.Intel;
using Xunit.Abstractions;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>
/// Every engine gives the host processor's own answer. For a long run set DBT_ORACLE_VECTORS (single instructions; a
/// tenth as many sequences) and DBT_ORACLE_SEED; DBT_ORACLE_ROWS (mnemonics, comma-separated) narrows it to some rows,
/// DBT_ORACLE_ENGINE to one engine, and DBT_ORACLE_REPORT names a file for the report and the runs of each row.
/// </summary>
public sealed class OracleTests(ITestOutputHelper output)
{
    private static readonly string[] OnlyRows =
        Environment.GetEnvironmentVariable("DBT_ORACLE_ROWS")?.Split(',', StringSplitOptions.RemoveEmptyEntries) ?? [];

    private static int Seed => int.TryParse(Environment.GetEnvironmentVariable("DBT_ORACLE_SEED"), out int seed) ? seed : 1;

    private static int? Vectors => int.TryParse(Environment.GetEnvironmentVariable("DBT_ORACLE_VECTORS"), out int vectors) ? vectors : null;

    [RequiresNative32Fact]
    public void Interpreter_SingleInstructions_AgreeWithTheHost() =>
        Run(Integer, false, Vectors ?? 200_000, (generator, _) => generator.Make(1), "interpreter");

    [RequiresNative32Fact]
    public void Interpreter_Sequences_AgreeWithTheHost() =>
        Run(Integer, false, (Vectors / 10) ?? 20_000, Sequence, "interpreter");

    [RequiresNative32Fact]
    public void TranslatedEngines_SingleInstructions_AgreeWithTheHost() =>
        Run(Integer, false, (Vectors / 20) ?? 10_000, (generator, _) => generator.Make(1), "quick", "optimized");

    [RequiresNative32Fact]
    public void TranslatedEngines_Sequences_AgreeWithTheHost() =>
        Run(Integer, false, (Vectors / 50) ?? 4_000, Sequence, "quick", "optimized", "tiered");

    [RequiresNative32Fact]
    public void TranslatedEngines_Loops_AgreeWithTheHost() =>
        Run(Integer, false, (Vectors / 50) ?? 2_000, (generator, random) => generator.MakeLoop(random.Next(1, 10)), "interpreter", "quick", "optimized", "tiered");

    [RequiresNative32Fact]
    public void SelfModifyingCode_AgreesWithTheHost() =>
        Run(
            Integer, false, (Vectors / 50) ?? 1_000, (generator, random) => generator.MakeSelfModifying(random.Next(2, 12), random.Next(2) == 0),
            "interpreter", "quick", "optimized", "tiered");

    [RequiresNative32Fact]
    public void X87_SingleInstructions_AgreeWithTheHost() =>
        Run(row => row.TestClass == TestClass.Fpu && Wanted(row), true, Vectors ?? 30_000, (generator, _) => generator.Make(1), "interpreter");

    [RequiresNative32Fact]
    public void Simd_SingleInstructions_AgreeWithTheHost() =>
        Run(row => row.TestClass == TestClass.Simd && Wanted(row), true, Vectors ?? 60_000, (generator, _) => generator.Make(1), "interpreter");

    [RequiresNative32Fact]
    public void FloatingPoint_Sequences_AgreeWithTheHost() =>
        Run(
            row => row.TestClass is TestClass.Simd or TestClass.Fpu or TestClass.Alu or TestClass.Move && !SavesPointers(row) && Wanted(row), true, (Vectors / 10) ?? 2_000,
            Sequence, "interpreter", "quick", "optimized");

    private static TestVector Sequence(VectorGenerator generator, Random random) => generator.Make(random.Next(2, 31));

    private static bool Integer(InstructionRow row) =>
        row.TestClass is not (TestClass.Fpu or TestClass.Simd) && Wanted(row);

    // Processors differ in what they save of the last instruction's address and opcode.
    private static bool SavesPointers(InstructionRow row) => row.Mnemonic is Mnemonic.Fnstenv or Mnemonic.Fnsave or Mnemonic.Fxsave;

    private static bool Wanted(InstructionRow row) =>
        OnlyRows.Length == 0 || OnlyRows.Contains(row.Mnemonic.ToString(), StringComparer.OrdinalIgnoreCase);

    private static GuestProcessor Engine(string name) => name switch
    {
        // Every vector overwrites the code of the one before: that must not make the engines give up on the page.
        "quick" => new GuestProcessor(name, new EngineOptions { Kind = EngineKind.Quick, RewritesUntilCool = int.MaxValue }),
        "optimized" => new GuestProcessor(name, new EngineOptions { Kind = EngineKind.Optimized, OptimizedThreshold = 0, RewritesUntilCool = int.MaxValue }),
        "tiered" => new GuestProcessor(
            name,
            new EngineOptions { Kind = EngineKind.Tiered, QuickThreshold = 2, OptimizeThreshold = 3, BackgroundCompile = false, RewritesUntilCool = int.MaxValue },
            5),
        _ => new GuestProcessor(name, new EngineOptions { Kind = EngineKind.Interpreter }),
    };

    private void Run(Func<InstructionRow, bool> wanted, bool fx, int count, Func<VectorGenerator, Random, TestVector> make, params string[] engines)
    {
        string? only = Environment.GetEnvironmentVariable("DBT_ORACLE_ENGINE");
        using var run = new OracleRun(wanted, fx, [.. engines.Where(e => only is null || only == e).Select(Engine)])
        {
            MostlyTranslated = !engines.SequenceEqual(["interpreter"]),
        };
        run.Run(Seed, count, make);
        string report = run.Report();
        output.WriteLine(report);
        if (Environment.GetEnvironmentVariable("DBT_ORACLE_REPORT") is { } file)
        {
            File.AppendAllText(file, $"{report}\n{run.Coverage()}\n");
        }

        Assert.True(run.Kinds == 0, report);
        Assert.True(run.Unusable * 10 < run.Compared, report);
    }
}
