using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;

namespace Dbt.Perf.Benchmarks;

/// <summary>The median by the guest instructions that a benchmark's parameter <see cref="Parameter"/> counts; shown where there is one.</summary>
internal sealed class PerInstructionColumn : IColumn
{
    /// <summary>The parameter.</summary>
    public const string Parameter = "Instructions";

    public string Id => nameof(PerInstructionColumn);

    public string ColumnName => "Median/instruction";

    public bool AlwaysShow => false;

    public ColumnCategory Category => ColumnCategory.Statistics;

    public int PriorityInCategory => 100;

    public bool IsNumeric => true;

    public UnitType UnitType => UnitType.Time;

    public string Legend => "Median by guest instructions of the region, microseconds";

    public bool IsAvailable(Summary summary) => summary.BenchmarksCases.Any(benchmark => Count(benchmark) is not null);

    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase) => GetValue(summary, benchmarkCase, SummaryStyle.Default);

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) =>
        Count(benchmarkCase) is int count && summary[benchmarkCase]?.ResultStatistics is { } statistics
            ? (statistics.Median / 1000 / count).ToString("F2", CultureInfo.InvariantCulture) + " us"
            : "-";

    private static int? Count(BenchmarkCase benchmark) =>
        benchmark.Parameters.Items.FirstOrDefault(item => item.Name == Parameter)?.Value as int?;
}
