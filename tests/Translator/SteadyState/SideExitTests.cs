using System.Globalization;
using System.Text;
using Dbt.Translator;

namespace Dbt.Tests.Translator.SteadyState;

/// <summary>
/// How often code that has settled leaves the optimised engine's regions, and why, exactly: the engine compiles nothing in the background, so it has no noise.
/// </summary>
public sealed class SideExitTests
{
    private const string Header =
        "# A million guest instructions of each program, settled, on the optimised engine: per million how many the interpreter executed,\n"
        + "# how often the dispatcher looked a block up, and the side exits by reason.\n"
        + "# DBT_GOLDEN=write ./test FullyQualifiedName~SideExitTests writes this anew.\n\n";

    [X64Fact]
    public void AgreesWithGoldenText()
    {
        var text = new StringBuilder(Header);
        text.Append($"{"program",-30}{"interpreted",13}{"look-ups",13}  exits\n");
        foreach (string program in SteadyRun.Names)
        {
            using var run = new SteadyRun(program, new EngineOptions { Kind = EngineKind.Optimized, WarmUp = 2 });
            EngineStatistics before = run.Statistics;
            ulong instructions = run.Go();
            EngineStatistics after = run.Statistics;
            Assert.Equal(before.RegionsCompiled, after.RegionsCompiled);
            IEnumerable<string> exits = after.SideExits.Select(exit => (exit.Key, Count: exit.Value - before.SideExits.GetValueOrDefault(exit.Key)))
                .Where(exit => exit.Count != 0).OrderBy(exit => exit.Key, StringComparer.Ordinal).Select(exit => $"{exit.Key} {PerMillion(exit.Count)}");
            string row = $"{program,-30}{PerMillion((long)(after.InterpretedInstructions - before.InterpretedInstructions)),13}"
                + $"{PerMillion(after.LookUps - before.LookUps),13}  {string.Join(", ", exits)}";
            text.Append(row.TrimEnd()).Append('\n');

            string PerMillion(long count) => (count * 1e6 / instructions).ToString("F1", CultureInfo.InvariantCulture);
        }

        GoldenText.Check("SteadyState", "exits", text.ToString());
    }
}
