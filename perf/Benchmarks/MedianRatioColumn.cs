using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;

namespace Dbt.Perf.Benchmarks;

/// <summary>A row's median by that of another method with the same parameters; shown where there is one. Means say little on a busy machine.</summary>
/// <param name="name">The column's.</param>
/// <param name="method">The other method.</param>
internal sealed class MedianRatioColumn(string name, string method) : IColumn
{
    public string Id => $"{nameof(MedianRatioColumn)}.{method}";

    public string ColumnName => name;

    public bool AlwaysShow => false;

    public ColumnCategory Category => ColumnCategory.Statistics;

    public int PriorityInCategory => 50;

    public bool IsNumeric => true;

    public UnitType UnitType => UnitType.Dimensionless;

    public string Legend => $"Median by that of {method}";

    public bool IsAvailable(Summary summary) => summary.BenchmarksCases.Any(benchmark => benchmark.Descriptor.WorkloadMethod.Name == method);

    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase) => GetValue(summary, benchmarkCase, SummaryStyle.Default);

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style)
    {
        BenchmarkCase? other = summary.BenchmarksCases.FirstOrDefault(candidate => candidate.Descriptor.WorkloadMethod.Name == method
            && candidate.Parameters.DisplayInfo == benchmarkCase.Parameters.DisplayInfo);
        return other is not null && Median(other) is double by && Median(benchmarkCase) is double median
            ? (median / by).ToString(median < by / 10 ? "F3" : "F2", CultureInfo.InvariantCulture)
            : "-";

        double? Median(BenchmarkCase benchmark) => summary[benchmark]?.ResultStatistics?.Median;
    }
}
