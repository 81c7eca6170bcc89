using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Engines;
using BenchmarkDotNet.Exporters;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

namespace Dbt.Perf.Benchmarks;

/// <summary>
/// How benchmarks are run where the command line doesn't say otherwise: in this process, so that nothing is built for them, and briefly. What they do takes a
/// millisecond and more at a time, so one call is a sample. The median counts: the machine may be busy.
/// </summary>
internal static class BenchmarkSettings
{
    private const int WarmUps = 2, Samples = 9, LongestName = 40;

    /// <summary>The settings.</summary>
    public static IConfig Default { get; } = ManualConfig.CreateEmpty()
        .AddJob(Job.Default.WithToolchain(InProcessEmitToolchain.Instance).WithStrategy(RunStrategy.Monitoring)
            .WithLaunchCount(1).WithWarmupCount(WarmUps).WithIterationCount(Samples).WithInvocationCount(1).WithUnrollFactor(1).WithId("Short"))
        .AddColumnProvider(DefaultColumnProviders.Descriptor, DefaultColumnProviders.Params, DefaultColumnProviders.Metrics)
        .AddColumn(StatisticColumn.Median, StatisticColumn.Min, StatisticColumn.Max,
            new MedianRatioColumn("to the interpreter", nameof(EngineBenchmarks.Interpreter)), new MedianRatioColumn("to native", nameof(CompiledKernelBenchmarks.Native)),
            new PerInstructionColumn())
        .WithSummaryStyle(SummaryStyle.Default.WithMaxParameterColumnWidth(LongestName))
        .AddExporter(MarkdownExporter.GitHub)
        .AddLogger(ConsoleLogger.Default)
        .WithArtifactsPath(Path.Combine(Path.GetTempPath(), "dbt-benchmarks"));
}
