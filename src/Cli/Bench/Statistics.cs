namespace Dbt.Cli.Bench;

/// <summary>Numbers of several rounds or workloads made one.</summary>
internal static class Statistics
{
    /// <summary>The middle one, or the mean of the two in the middle; null of nothing.</summary>
    public static double? Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        int middle = sorted.Length / 2;
        return sorted.Length == 0 ? null : sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    /// <summary>The geometric mean; null of nothing.</summary>
    public static double? GeometricMean(IEnumerable<double> values)
    {
        double[] logarithms = [.. values.Select(value => Math.Log(value))];
        return logarithms.Length == 0 ? null : Math.Exp(logarithms.Average());
    }
}
