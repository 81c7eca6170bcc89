using Dbt.Perf;
using Dbt.Translator;
using Iced.Intel;

namespace Dbt.Tests.Translator.SteadyState;

/// <summary>A program that has run until nothing new is compiled or looked up, and may then be watched.</summary>
internal sealed class SteadyRun : IDisposable
{
    /// <summary>Guest instructions that are watched at least.</summary>
    public const ulong Watched = 1_000_000;

    // What runs once each time has been tried by every tier of these tests' engines after the short runs; the long ones touch all pages.
    private const int ShortRuns = 40, LongRuns = 2;
    private const uint Turns = 1_000, ShortWork = 3;

    private readonly KernelRun _run;
    private readonly uint _work;

    public SteadyRun(string name, EngineOptions options)
    {
        (_work, Action<Assembler> code) = Kernels.All.TryGetValue(name, out var kernel) ? kernel : (Turns, ExitPrograms.All[name]);
        _run = new KernelRun(code, options);
        for (int i = 0; i < ShortRuns; i++)
        {
            _run.Once(ShortWork);
        }

        for (int i = 0; i < LongRuns; i++)
        {
            _run.Once(_work);
        }
    }

    /// <summary>Names of all programs.</summary>
    public static IEnumerable<string> Names => [.. Kernels.All.Keys, .. ExitPrograms.All.Keys];

    /// <summary>Counters of the engine so far.</summary>
    public EngineStatistics Statistics => _run.Statistics;

    /// <summary>Runs as often as it takes for <see cref="Watched"/> instructions.</summary>
    /// <returns>How many they were.</returns>
    public ulong Go()
    {
        ulong before = _run.Instructions;
        do
        {
            _run.Once(_work);
        }
        while (_run.Instructions - before < Watched);
        return _run.Instructions - before;
    }

    public void Dispose() => _run.Dispose();
}
