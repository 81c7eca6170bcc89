using System.Globalization;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Dbt.Cli.Profile;

/// <summary>A summary on the terminal.</summary>
internal static class TerminalReport
{
    private static readonly (string Counter, string Title)[] s_rates =
    [
        ("instructions-interpreted", "guest instructions, interpreter"),
        ("instructions-quick", "guest instructions, quick blocks"),
        ("instructions-optimised", "guest instructions, optimised regions"),
        ("look-ups", "dispatcher's look-ups"),
        ("look-up-hits", "  answered at once, %"),
        ("links", "links made"),
        ("blocks-decoded", "blocks decoded"),
        ("regions-compiled", "regions compiled"),
        ("regions-taken-over", "regions taken over"),
        ("compile-time", "  compiler, ms"),
        ("compile-queue", "  waiting regions"),
        ("invalidations", "invalidations"),
        ("cached-translations", "translations in the cache"),
        ("cached-il-bytes", "  their IL, bytes"),
        ("hypercalls", "hypercalls"),
        ("upcalls", "upcalls and interrupts"),
        ("idle-share", "idle, %"),
    ];

    /// <summary>Writes all of it.</summary>
    public static void Write(IAnsiConsole console, ProfileSummary summary, int top)
    {
        foreach (IRenderable part in Parts(summary, top))
        {
            console.Write(part);
            console.WriteLine();
        }
    }

    /// <summary>What a report consists of.</summary>
    public static IEnumerable<IRenderable> Parts(ProfileSummary summary, int top)
    {
        yield return Heading(summary);
        yield return Shares("What the processors did", "of the time", summary.Activities, top);
        yield return Code("Guest functions", summary.Functions, top, isBlock: false);
        yield return Code("Guest blocks", summary.Blocks, top, isBlock: true);
        if (summary.Images.Count > 1)
        {
            yield return Shares("Guest code by image", "of the busy time", summary.Images, top);
        }

        yield return new Columns(Events("Side exits", summary.SideExits, top), Events("Hypercalls", summary.Hypercalls, top)) { Expand = false };
        yield return Rates(summary);
        if (summary.Loaded.Count > 0)
        {
            yield return Loaded(summary);
        }
    }

    /// <summary>A line that says what this is of.</summary>
    public static IRenderable Heading(ProfileSummary summary) => new Markup(string.Create(CultureInfo.InvariantCulture,
        $"[bold]{Markup.Escape(summary.Guest)}[/] (process {summary.ProcessId}), {summary.Seconds:0.0} s, {summary.Samples} samples, processors busy {Percent(summary.BusySeconds / Math.Max(summary.TotalSeconds, 1e-9))}"));

    /// <summary>Counters: the median and the last of what was told each second, and how they went.</summary>
    public static IRenderable Rates(ProfileSummary summary)
    {
        Table table = NewTable("A second").AddColumn("").AddColumn(new TableColumn("median").RightAligned()).AddColumn(new TableColumn("last").RightAligned()).AddColumn("over time");
        foreach ((string counter, string title) in s_rates)
        {
            if (summary.Counters.TryGetValue(counter, out IReadOnlyList<CounterValue>? values) && values.Any(value => value.Value != 0))
            {
                double[] numbers = [.. values.Select(value => value.Value)];
                table.AddRow(Markup.Escape(title), Number(Median(numbers)), Number(numbers[^1]), Sparkline(numbers));
            }
        }

        return table;
    }

    /// <summary>Guest code, the hottest first.</summary>
    public static IRenderable Code(string title, IReadOnlyList<CodeShare> code, int top, bool isBlock)
    {
        Table table = NewTable(title).AddColumn(new TableColumn("busy").RightAligned());
        if (isBlock)
        {
            table.AddColumn("address");
        }

        table.AddColumn("function").AddColumn("in").AddColumn("tiers");
        foreach (CodeShare share in code.Take(top))
        {
            List<string> row = [Percent(share.Share)];
            if (isBlock)
            {
                row.Add(share.Address.ToString("x8", CultureInfo.InvariantCulture));
            }

            table.AddRow([.. row, Markup.Escape(share.Place.Function), Markup.Escape(share.Place.Image), Tiers(share)]);
        }

        return table;
    }

    /// <summary>Parts of the time.</summary>
    public static IRenderable Shares(string title, string of, IReadOnlyList<TimeShare> shares, int top)
    {
        Table table = NewTable(title).AddColumn(new TableColumn(of).RightAligned()).AddColumn(new TableColumn("seconds").RightAligned()).AddColumn("").AddColumn("");
        foreach (TimeShare share in shares.Take(top))
        {
            table.AddRow(Percent(share.Share), share.Seconds.ToString("0.000", CultureInfo.InvariantCulture), Markup.Escape(share.Name), Bar(share.Share));
        }

        return table;
    }

    private static Table Events(string title, IReadOnlyList<EventCount> events, int top)
    {
        Table table = NewTable(title).AddColumn(new TableColumn("a second").RightAligned()).AddColumn("");
        foreach (EventCount entry in events.Take(top))
        {
            table.AddRow(Number(entry.PerSecond), Markup.Escape(entry.Name));
        }

        return table;
    }

    private static IRenderable Loaded(ProfileSummary summary) => new Text("Found by contents: " + string.Join(", ",
        summary.Loaded.Select(pair => $"{pair.Key} at {string.Join(", ", pair.Value.Select(address => address.ToString("x8", CultureInfo.InvariantCulture)))}")));

    private static Table NewTable(string title) => new Table { Border = TableBorder.Simple, Title = new TableTitle(title, new Style(decoration: Decoration.Bold)) };

    private static string Tiers(CodeShare share)
    {
        var parts = new List<string>();
        Add("interpreted", share.Interpreted);
        Add("quick", share.Quick);
        Add("optimised", share.Optimised);
        return string.Join(", ", parts);

        void Add(string name, double part)
        {
            if (part >= 0.005)
            {
                parts.Add(part > 0.995 ? name : $"{name} {Percent(part)}");
            }
        }
    }

    private static string Percent(double share) => (share * 100).ToString("0.0", CultureInfo.InvariantCulture) + " %";

    private static string Bar(double share) => new('█', (int)Math.Round(Math.Clamp(share, 0, 1) * 30));

    private static string Number(double value) => value >= 100 ? value.ToString("#,0", CultureInfo.InvariantCulture) : value.ToString("0.##", CultureInfo.InvariantCulture);

    private static double Median(double[] values)
    {
        double[] sorted = [.. values.Order()];
        return sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[(sorted.Length / 2) - 1] + sorted[sorted.Length / 2]) / 2;
    }

    private static string Sparkline(double[] values)
    {
        const string Levels = "▁▂▃▄▅▆▇█";
        double most = values.Max();
        return most <= 0 ? "" : string.Concat(values.TakeLast(40).Select(value => Levels[(int)Math.Clamp(value / most * (Levels.Length - 1), 0, Levels.Length - 1)]));
    }
}
