using System.Globalization;
using ScottPlot;

namespace Dbt.Cli.Bench;

/// <summary>The result's plots, as SVG.</summary>
internal static class BenchPlots
{
    private const int Width = 1000, Height = 460;
    private const int LeastDecade = 3, MostDecade = 5;
    private const double GroupWidth = .8;

    /// <summary>Ratios of CPU time, each workload a group of bars, on a logarithmic scale.</summary>
    /// <param name="result">The result.</param>
    /// <param name="title">What the plot is called.</param>
    /// <param name="pairs">Which machine against which.</param>
    /// <returns>Null where there is nothing to show.</returns>
    public static string? Ratios(BenchResult result, string title, IReadOnlyList<(string Machine, string To)> pairs)
    {
        using var plot = new Plot();
        var palette = new ScottPlot.Palettes.Category10();
        int shown = 0;
        for (int series = 0; series < pairs.Count; series++)
        {
            var bars = new List<Bar>();
            for (int i = 0; i < result.Workloads.Count; i++)
            {
                if (result.Ratio(result.Workloads[i].Name, pairs[series].Machine, pairs[series].To, sample => sample.Cpu) is double ratio)
                {
                    double width = GroupWidth / pairs.Count;
                    bars.Add(new Bar { Position = i - (GroupWidth / 2) + (width * (series + .5)), Value = Math.Log10(ratio), Size = width, FillColor = palette.GetColor(series) });
                }
            }

            if (bars.Count > 0)
            {
                plot.Add.Bars(bars).LegendText = $"{result.Title(pairs[series].Machine)} / {result.Title(pairs[series].To)}";
                shown += bars.Count;
            }
        }

        if (shown == 0)
        {
            return null;
        }

        plot.Title(title);
        double[] marks = [.. Enumerable.Range(-LeastDecade, LeastDecade + MostDecade).SelectMany(decade => new[] { 1, 2, 5 }.Select(digit => digit * Math.Pow(10, decade)))];
        plot.Axes.Left.SetTicks([.. marks.Select(mark => Math.Log10(mark))], [.. marks.Select(mark => mark.ToString("0.####", CultureInfo.InvariantCulture))]);
        plot.Axes.Bottom.SetTicks([.. Enumerable.Range(0, result.Workloads.Count).Select(i => (double)i)], [.. result.Workloads.Select(workload => workload.Name)]);
        plot.Axes.Bottom.TickLabelStyle.Rotation = -45;
        plot.Axes.Bottom.TickLabelStyle.Alignment = Alignment.MiddleRight;
        plot.Axes.Bottom.MinimumSize = 70;
        plot.ShowLegend(Alignment.UpperRight);
        return plot.GetSvgXml(Width, Height);
    }
}
