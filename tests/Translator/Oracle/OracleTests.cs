using Dbt.Translator;
using Dbt.Translator.Instructions;
using Xunit.Abstractions;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>
/// Interpreter, quick and optimised engine give the host processor's own answer. For a long run set DBT_ORACLE_VECTORS and
/// DBT_ORACLE_SEED. What narrows a run: DBT_ORACLE_ROWS (mnemonics, comma-separated) to some rows, DBT_ORACLE_ONLY (a scenario's name, or
/// part of it) to some kinds of vectors, DBT_ORACLE_ROUND to one of a long run's eight rounds, DBT_ORACLE_ENGINE to one engine. With the
/// same seed, number of vectors and DBT_ORACLE_STATES (how many states each code is run with) the last three give the same vectors again.
/// DBT_ORACLE_REPORT names a file for progress and report, DBT_ORACLE_COUNTS one for the runs of each encoding, as docs/isa-vectors.tsv
/// holds them.
/// </summary>
public sealed class OracleTests(ITestOutputHelper output)
{
    private const int Rounds = 8;

    private static readonly string[] OnlyRows = Variable("ROWS")?.Split(',', StringSplitOptions.RemoveEmptyEntries) ?? [];

    private static int Seed => int.TryParse(Variable("SEED"), out int seed) ? seed : 1;

    private static long Vectors => long.TryParse(Variable("VECTORS"), out long vectors) ? vectors : 200_000;

    /// <summary>200,000 vectors; more by request.</summary>
    [RequiresNative32Fact]
    public void AllEngines_AgreeWithTheHost()
    {
        string? onlyEngine = Variable("ENGINE"), onlyScenario = Variable("ONLY");
        string[] names = [.. ((string[])["interpreter", "quick", "optimized", "windowed"]).Where(e => onlyEngine is null || onlyEngine == e)];

        // More states for each code where there is time for many codes all the same.
        int states = int.TryParse(Variable("STATES"), out int given) ? given : Vectors > 1_000_000 ? 256 : 32;
        OracleScenario[] scenarios = OracleScenario.All(Wanted, states);
        using var run = new OracleRun(2, () => [.. names.Select(Engine)]) { Found = Note };
        long shares = scenarios.Sum(s => s.Share);

        // Round after round, so that a run that is ended early has seen some of each.
        int rounds = Vectors > 1_000_000 ? Rounds : 1;
        int? onlyRound = int.TryParse(Variable("ROUND"), out int number) ? number : null;
        bool exact = Array.Exists(scenarios, s => s.Name == onlyScenario);
        for (int round = onlyRound ?? 0; round < (onlyRound + 1 ?? rounds); round++)
        {
            foreach (OracleScenario scenario in scenarios.Where(s => onlyScenario is null || s.Name == onlyScenario || (!exact && s.Name.Contains(onlyScenario))))
            {
                long count = Vectors * scenario.Share / shares / rounds;
                run.Run(scenario, Seed, count, round * (int)((count / OracleWorker.BatchSize) + 1));
                Note($"{DateTime.UtcNow:HH:mm:ss} round {round}, {scenario.Name}: {run.Compared} compared, {run.Kinds} kinds of differences");
            }
        }

        string report = run.Report();
        output.WriteLine(report);
        Note(report);
        if (Variable("COUNTS") is { } file)
        {
            File.WriteAllLines(file, [$"# {run.Compared} vectors, seed {Seed}: encoding, runs with registers, runs with memory", .. run.Counts.Lines()]);
        }

        Assert.True(run.Kinds == 0, report);
        Assert.True(run.Unusable * 10 < run.Compared, report);
    }

    /// <summary>
    /// Translated floating point gives what the interpreter gives, whose instructions are the host's own: for hosts whose kernel runs no
    /// 32-bit programs. 20,000 vectors; more by request.
    /// </summary>
    [X64Fact]
    public void TranslatedFloatingPoint_AgreesWithTheInterpreter()
    {
        long vectors = Variable("VECTORS") is null ? 20_000 : Vectors;
        string[] names = [.. ((string[])["quick", "optimized"]).Where(e => Variable("ENGINE") is not { } only || only == e)];
        OracleScenario[] scenarios = [.. OracleScenario.All(Wanted, 32).Where(s => s.Fx && (Variable("ONLY") is not { } only || s.Name.Contains(only)))];
        using var run = new OracleRun(2, () => [.. names.Select(Engine)], () => new InterpreterReference()) { Found = Note };
        foreach (OracleScenario scenario in scenarios)
        {
            run.Run(scenario, Seed, vectors * scenario.Share / scenarios.Sum(s => s.Share));
        }

        string report = run.Report();
        output.WriteLine(report);
        Note(report);
        Assert.True(run.Kinds == 0, report);
        Assert.True(run.Unusable * 10 < run.Compared, report);
    }

    /// <summary>The same of string instructions, whose repetitions translated code carries out by itself.</summary>
    [Fact]
    public void TranslatedStrings_AgreeWithTheInterpreter()
    {
        long vectors = Variable("VECTORS") is null ? 20_000 : Vectors;
        OracleScenario[] scenarios = [.. OracleScenario.All(row => row.TestClass == TestClass.String && Wanted(row), 32).Where(s => !s.Fx)];
        using var run = new OracleRun(2, () => [Engine("quick"), Engine("optimized"), Engine("windowed")], () => new InterpreterReference()) { Found = Note };
        foreach (OracleScenario scenario in scenarios)
        {
            run.Run(scenario, Seed, vectors * scenario.Share / scenarios.Sum(s => s.Share));
        }

        Assert.True(run.Kinds == 0, run.Report());
        Assert.True(run.Unusable * 10 < run.Compared, run.Report());
    }

    /// <summary>The tiers one after the other on the same code: interpreter, quick, optimised.</summary>
    [RequiresNative32Fact]
    public void TieredEngine_AgreesWithTheHost()
    {
        using var run = new OracleRun(2, () => [Engine("tiered")]);
        foreach (OracleScenario scenario in OracleScenario.All(Wanted, 16).Where(s => s.Name is "sequences" or "loops" or "code that modifies itself"))
        {
            run.Run(scenario, Seed, 4096);
        }

        Assert.True(run.Kinds == 0, run.Report());
    }

    /// <summary>An engine of that name as an executor.</summary>
    internal static GuestProcessor Engine(string name) => Engine(name, null);

    /// <summary>An engine of that name as an executor, in surroundings other than the ordinary ones.</summary>
    internal static GuestProcessor Engine(string name, OraclePlatform? platform) => name switch
    {
        // Every code overwrites the one before: that must not make the engines give up on the page.
        "quick" => new GuestProcessor(name, new EngineOptions { Kind = EngineKind.Quick, WarmUp = 0, RewritesUntilCool = int.MaxValue }, 1, platform),
        "windowed" => new GuestProcessor(name, new EngineOptions { Kind = EngineKind.Optimized, WarmUp = 0, RewritesUntilCool = int.MaxValue, Windows = WindowUse.Always }, 1, platform),
        "optimized" => new GuestProcessor(name, new EngineOptions { Kind = EngineKind.Optimized, WarmUp = 0, RewritesUntilCool = int.MaxValue }, 1, platform),
        "tiered" => new GuestProcessor(
            name,
            new EngineOptions { Kind = EngineKind.Tiered, QuickThreshold = 2, OptimizeThreshold = 3, BackgroundCompile = false, RewritesUntilCool = int.MaxValue },
            5,
            platform),
        _ => new GuestProcessor(name, new EngineOptions { Kind = EngineKind.Interpreter }, 1, platform),
    };

    private static bool Wanted(InstructionRow row) =>
        OnlyRows.Length == 0 || OnlyRows.Contains(row.Mnemonic.ToString(), StringComparer.OrdinalIgnoreCase);

    private static string? Variable(string name) => Environment.GetEnvironmentVariable("DBT_ORACLE_" + name);

    private static void Note(string text)
    {
        if (Variable("REPORT") is { } file)
        {
            File.AppendAllText(file, text + "\n");
        }
    }
}
