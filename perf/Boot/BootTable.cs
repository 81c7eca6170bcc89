namespace Dbt.Perf.Boot;

/// <summary>The result: least and median of each, and the median of the rounds' ratios to the first.</summary>
internal sealed class BootTable(string reference, IReadOnlyDictionary<string, List<BootTime>> times)
{
    /// <summary>Writes it as Markdown.</summary>
    public void Write(TextWriter output)
    {
        output.WriteLine();
        output.WriteLine($"| to the prompt | CPU s, least | median | ratio to {reference} | elapsed s, median |");
        output.WriteLine("|---|---|---|---|---|");
        foreach ((string name, List<BootTime> rounds) in times)
        {
            double ratio = Median(rounds.Zip(times[reference], (time, first) => time.CpuSeconds / first.CpuSeconds));
            output.WriteLine(
                $"| {name} | {rounds.Min(time => time.CpuSeconds):F2} | {Median(rounds.Select(time => time.CpuSeconds)):F2} | {ratio:F2} | {Median(rounds.Select(time => time.WallSeconds)):F2} |");
        }
    }

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        int middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
