using System.Text;
using Dbt.Translator.Diagnostics;
using ScottPlot;
using ScottPlot.Plottables;

namespace Dbt.Cli.Profile;

/// <summary>Plots of a recording over time, as SVG in a data URI, so that a page with them needs nothing else.</summary>
internal static class ProfilePlots
{
    private const int Width = 1000, Height = 300, HalfWidth = 560;

    private static readonly (string Title, string Colour, Func<ProcessorActivity, bool> Is)[] s_layers =
    [
        ("optimised regions", "#2a7f4f", doing => doing is ProcessorActivity.Optimised),
        ("quick translations", "#8cc28f", doing => doing is ProcessorActivity.Quick or ProcessorActivity.Translated),
        ("interpreted", "#e3b23c", doing => doing is ProcessorActivity.Interpreting),
        ("hypercalls", "#b5543c", doing => doing is ProcessorActivity.Hypercall),
        ("page tables, faults", "#8a5aa8", doing => doing is ProcessorActivity.PageTables or ProcessorActivity.Delivering),
        ("dispatcher, decoding, compiling", "#4a76b5", doing => doing is ProcessorActivity.Dispatching or ProcessorActivity.Decoding or ProcessorActivity.Compiling),
        ("idle, offline", "#d9dde3", doing => doing is ProcessorActivity.Idle or ProcessorActivity.Offline),
    ];

    /// <summary>What the processors did, as layers that add up to them all.</summary>
    public static string Activity(IReadOnlyList<TimedSample> samples)
    {
        const int MostBins = 200;
        Plot plot = NewPlot("processors");
        if (samples.Count > 1)
        {
            long first = samples.Min(sample => sample.At), span = Math.Max(1, samples.Max(sample => sample.At) - first);
            int bins = (int)Math.Clamp(span / 50, 2, MostBins);
            double width = span / 1000.0 / bins;

            // A sample stands for the time before it, which may be several bins'; each bin is brought to what there is of processors.
            int processors = samples.Select(sample => sample.Record.Processor).Distinct().Count();
            double[][] layers = [.. s_layers.Select(_ => new double[bins])];
            double[] whole = new double[bins];
            foreach (TimedSample sample in samples)
            {
                double[] layer = layers[LayerOf((ProcessorActivity)sample.Record.Doing)];
                double end = (sample.At - first) / 1000.0 / width, begin = Math.Max(0, end - (sample.Record.Weight / 1e6 / width));
                for (int bin = (int)begin; bin < bins && bin <= end; bin++)
                {
                    double part = Math.Max(1e-6, Math.Min(end, bin + 1) - Math.Max(begin, bin));
                    layer[bin] += part;
                    whole[bin] += part;
                }
            }

            double[] seconds = [.. Enumerable.Range(0, bins).Select(bin => (bin + 0.5) * width)], below = new double[bins];
            foreach ((double[] layer, (string title, string colour, _)) in layers.Zip(s_layers))
            {
                double[] above = [.. below.Select((level, bin) => level + (whole[bin] > 0 ? processors * layer[bin] / whole[bin] : 0))];
                FillY area = plot.Add.FillY(seconds, below, above);
                area.FillColor = Color.FromHex(colour);
                area.LineWidth = 0;
                area.MarkerSize = 0;
                area.LegendText = title;
                below = above;
            }

            plot.Axes.SetLimits(0, span / 1000.0, 0, processors);
            plot.ShowLegend(Edge.Right);
        }

        return Render(plot, Width);
    }

    /// <summary>Counters as lines.</summary>
    public static string Lines(IReadOnlyDictionary<string, IReadOnlyList<CounterValue>> counters, string unit, double scale, params (string Counter, string Title, string Colour)[] lines)
    {
        Plot plot = NewPlot(unit);
        double most = 0, last = 1;
        foreach ((string counter, string title, string colour) in lines)
        {
            if (counters.TryGetValue(counter, out IReadOnlyList<CounterValue>? values) && values.Count > 0)
            {
                Scatter line = plot.Add.Scatter(values.Select(value => value.Seconds).ToArray(), values.Select(value => value.Value * scale).ToArray());
                line.Color = Color.FromHex(colour);
                line.LineWidth = 2;
                line.MarkerSize = values.Count > 60 ? 0 : 5;
                line.LegendText = title;
                most = Math.Max(most, values.Max(value => value.Value) * scale);
                last = Math.Max(last, values[^1].Seconds);
            }
        }

        plot.Axes.SetLimits(0, last * 1.02, 0, most > 0 ? most * 1.1 : 1);
        plot.ShowLegend(Edge.Bottom);
        plot.Legend.Orientation = Orientation.Horizontal;
        return Render(plot, HalfWidth);
    }

    /// <summary>Whether there is anything to show of counters.</summary>
    public static bool HasAny(IReadOnlyDictionary<string, IReadOnlyList<CounterValue>> counters, params string[] names) =>
        names.Any(name => counters.TryGetValue(name, out IReadOnlyList<CounterValue>? values) && values.Any(value => value.Value != 0));

    // What a newer process tells of and we don't know counts with the dispatcher.
    private static int LayerOf(ProcessorActivity doing)
    {
        int layer = Array.FindIndex(s_layers, candidate => candidate.Is(doing));
        return layer >= 0 ? layer : s_layers.Length - 2;
    }

    private static Plot NewPlot(string unit)
    {
        var plot = new Plot();
        plot.Font.Set("DejaVu Sans");
        plot.YLabel(unit, size: 13);
        plot.XLabel("seconds", size: 13);
        plot.Axes.Left.Label.Bold = plot.Axes.Bottom.Label.Bold = false;
        plot.FigureBackground.Color = Colors.White;
        plot.Grid.MajorLineColor = Color.FromHex("#e6e9ee");
        plot.Axes.Frame(false);
        plot.Axes.Left.FrameLineStyle.Width = 1;
        plot.Axes.Bottom.FrameLineStyle.Width = 1;
        return plot;
    }

    private static string Render(Plot plot, int width) =>
        "data:image/svg+xml;base64," + Convert.ToBase64String(Encoding.UTF8.GetBytes(plot.GetSvgXml(width, Height)));
}
