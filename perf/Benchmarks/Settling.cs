using Dbt.Translator;

namespace Dbt.Perf.Benchmarks;

/// <summary>Runs something until its engine compiles nothing any more, in the background either.</summary>
internal static class Settling
{
    private const int QuietRuns = 4, MostRuns = 60;

    /// <summary>Runs it.</summary>
    /// <param name="once">A run.</param>
    /// <param name="statistics">The engine's counters.</param>
    public static void Run(Action once, Func<EngineStatistics> statistics)
    {
        long compiled = -1;
        for (int run = 0, quiet = 0; run < MostRuns && quiet < QuietRuns; run++)
        {
            once();
            EngineStatistics now = statistics();
            quiet = now.QueueLength == 0 && now.RegionsCompiled + now.BlocksCompiled == compiled ? quiet + 1 : 0;
            compiled = now.RegionsCompiled + now.BlocksCompiled;
        }
    }
}
