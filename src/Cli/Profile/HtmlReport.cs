using System.Globalization;
using System.Net;
using System.Text;

namespace Dbt.Cli.Profile;

/// <summary>A summary as one HTML page that refers to nothing outside itself.</summary>
internal static class HtmlReport
{
    private const int Rows = 30;

    private const string Style = """
        :root { --ink: #1d2733; --faint: #5d6b7a; --line: #dfe4ea; --ground: #f6f7f9; }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.45 system-ui, "DejaVu Sans", sans-serif; }
        main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 60px; }
        h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 0 0 12px; }
        p { margin: 0 0 12px; color: var(--faint); }
        section { background: #fff; border: 1px solid var(--line); border-radius: 8px; padding: 18px 20px; margin-top: 18px; overflow-x: auto; }
        table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
        th { text-align: left; font-weight: 600; color: var(--faint); font-size: 13px; border-bottom: 1px solid var(--line); padding: 4px 10px 4px 0; }
        td { padding: 3px 10px 3px 0; border-bottom: 1px solid #f0f2f5; vertical-align: middle; }
        .n { text-align: right; white-space: nowrap; } .code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 13px; word-break: break-all; }
        .image { color: var(--faint); white-space: nowrap; }
        .track { display: flex; width: 180px; height: 12px; background: #eef1f4; border-radius: 3px; overflow: hidden; }
        .wide { width: 100%; height: 26px; border-radius: 5px; }
        .i { background: #e3b23c; } .q { background: #8cc28f; } .o { background: #2a7f4f; } .h { background: #4a76b5; } .z { background: #c9d0d8; }
        .key { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin: 0 5px 0 14px; } .key:first-child { margin-left: 0; }
        .facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 12px; }
        .facts div { background: #fff; border: 1px solid var(--line); border-radius: 8px; padding: 10px 14px; }
        .facts b { display: block; font-size: 20px; } .facts span { color: var(--faint); font-size: 13px; }
        .pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(380px, 1fr)); gap: 0 24px; }
        .plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(460px, 1fr)); gap: 0 18px; }
        img { display: block; width: 100%; height: auto; }
        details { margin-top: 10px; } summary { cursor: pointer; color: var(--faint); }
        """;

    private static readonly string[] s_instructions = ["instructions-interpreted", "instructions-quick", "instructions-optimised"];

    /// <summary>Writes it.</summary>
    /// <exception cref="IOException">It can't be written.</exception>
    public static void Write(string path, ProfileRecording recording, ProfileSummary summary) => File.WriteAllText(path, ToHtml(recording, summary));

    /// <summary>The page.</summary>
    public static string ToHtml(ProfileRecording recording, ProfileSummary summary)
    {
        var page = new StringBuilder();
        page.Append("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>")
            .Append(Text($"{summary.Guest}: dbt profile")).Append("</title><style>").Append(Style).Append("</style></head><body><main>");
        page.Append($"<h1>{Text(summary.Guest)}</h1><p>{Text(Invariant($"Process {summary.ProcessId}, {summary.Seconds:0.0} s, {summary.Samples} samples of {recording.Processors.Count} processor(s)."))}</p>");
        Facts(page, summary);
        Tiers(page, summary);
        page.Append($"<section><h2>What the processors did</h2><img alt=\"What the processors did\" src=\"{ProfilePlots.Activity(recording.Samples)}\"></section>");
        Code(page, "Guest functions", summary.Functions, isBlock: false);
        Code(page, "Guest blocks", summary.Blocks, isBlock: true);
        Plots(page, summary);
        page.Append("<section><div class=\"pair\"><div>");
        Shares(page, "What the processors did", "of the time", summary.Activities);
        page.Append("</div><div>");
        Shares(page, "Guest code by image", "of the busy time", summary.Images);
        page.Append("</div></div></section><section><div class=\"pair\"><div>");
        Events(page, "Side exits", summary.SideExits);
        page.Append("</div><div>");
        Events(page, "Hypercalls", summary.Hypercalls);
        page.Append("</div></div></section>");
        Compilations(page, summary);
        Loaded(page, summary);
        return page.Append("</main></body></html>\n").ToString();
    }

    private static void Facts(StringBuilder page, ProfileSummary summary)
    {
        page.Append("<div class=\"facts\">");
        Fact(Percent(summary.BusySeconds / Math.Max(summary.TotalSeconds, 1e-9)), "of the processors' time busy");
        Fact(Number(s_instructions.Sum(name => Mean(summary, name)) / 1e6) + " M/s", "guest instructions");
        Fact(summary.Functions.Count > 0 ? summary.Functions[0].Place.Function : "none", "hottest function");
        Fact(Number(Mean(summary, "look-up-hits")) + " %", "dispatcher's look-ups answered at once");
        Fact(Number(Last(summary, "cached-translations")), "translations in the code cache");
        Fact(Number(summary.Compilations.Count), "compilations meanwhile");
        page.Append("</div>");

        void Fact(string value, string of) => page.Append($"<div><b class=\"{(value.Length > 14 ? "code" : "")}\">{Text(value)}</b><span>{Text(of)}</span></div>");
    }

    private static void Tiers(StringBuilder page, ProfileSummary summary)
    {
        double interpreted = Part("guest: interpreted"), quick = Part("guest: quick translations"), optimised = Part("guest: optimised regions"), idle = Part("idle") + Part("offline");
        double rest = Math.Max(0, 1 - interpreted - quick - optimised - idle);
        page.Append("<section><h2>Time by tier</h2><div class=\"track wide\">");
        foreach ((string kind, double part) in new[] { ("o", optimised), ("q", quick), ("i", interpreted), ("h", rest), ("z", idle) })
        {
            page.Append(Invariant($"<div class=\"{kind}\" style=\"width:{part * 100:0.##}%\"></div>"));
        }

        page.Append("</div><p style=\"margin:10px 0 0\">");
        foreach ((string kind, string name, double part) in new[]
        {
            ("o", "optimised regions", optimised), ("q", "quick translations", quick), ("i", "interpreted", interpreted), ("h", "hypervisor", rest), ("z", "idle, offline", idle),
        })
        {
            page.Append($"<span class=\"key {kind}\"></span>{name} {Percent(part)}");
        }

        page.Append("</p></section>");

        double Part(string name) => summary.Activities.FirstOrDefault(share => share.Name == name)?.Share ?? 0;
    }

    private static void Plots(StringBuilder page, ProfileSummary summary)
    {
        page.Append("<div class=\"plots\">");
        Plot("Guest instructions", "million a second", 1e-6, ("instructions-optimised", "optimised regions", "#2a7f4f"),
            ("instructions-quick", "quick translations", "#8cc28f"), ("instructions-interpreted", "interpreted", "#e3b23c"));
        Plot("Dispatcher", "a second", 1, ("look-ups", "look-ups", "#4a76b5"), ("links", "links made", "#2a7f4f"), ("invalidations", "invalidations", "#b5543c"));
        Plot("Look-ups answered at once", "%", 1, ("look-up-hits", "hits", "#4a76b5"));
        Plot("Compiler", "a second", 1, ("compile-time", "milliseconds of its time", "#8a5aa8"), ("compile-queue", "waiting regions", "#b5543c"), ("regions-compiled", "regions a second", "#2a7f4f"));
        Plot("Translations in the code cache", "translations", 1, ("cached-translations", "translations", "#2a7f4f"));
        Plot("Their IL", "KB", 1e-3, ("cached-il-bytes", "IL", "#8a5aa8"));
        Plot("Hypercalls and upcalls", "a second", 1, ("hypercalls", "hypercalls", "#b5543c"), ("upcalls", "upcalls, interrupts", "#4a76b5"));
        page.Append("</div>");

        void Plot(string title, string unit, double scale, params (string Counter, string Title, string Colour)[] lines)
        {
            (string Counter, string Title, string Colour)[] there = [.. lines.Where(line => ProfilePlots.HasAny(summary.Counters, line.Counter))];
            if (there.Length > 0)
            {
                page.Append($"<section><h2>{Text(title)}</h2><img alt=\"{Text(title)}\" src=\"{ProfilePlots.Lines(summary.Counters, unit, scale, there)}\"></section>");
            }
        }
    }

    private static void Code(StringBuilder page, string title, IReadOnlyList<CodeShare> code, bool isBlock)
    {
        page.Append($"<section><h2>{title}</h2><table><tr><th class=\"n\">busy time</th><th>tiers</th>{(isBlock ? "<th>address</th>" : "")}<th>function</th><th>in</th></tr>");
        double most = code.Count > 0 ? code[0].Share : 1;
        foreach (CodeShare share in code.Take(Rows))
        {
            page.Append($"<tr><td class=\"n\">{Percent(share.Share)}</td><td><div class=\"track\" title=\"{Text($"interpreted {Percent(share.Interpreted)}, quick {Percent(share.Quick)}, optimised {Percent(share.Optimised)}")}\">");
            foreach ((string kind, double part) in new[] { ("o", share.Optimised), ("q", share.Quick), ("i", share.Interpreted) })
            {
                page.Append(Invariant($"<div class=\"{kind}\" style=\"width:{part * share.Share / most * 100:0.##}%\"></div>"));
            }

            page.Append("</div></td>");
            if (isBlock)
            {
                page.Append(Invariant($"<td class=\"code\">{share.Address:x8}</td>"));
            }

            page.Append($"<td class=\"code\">{Text(share.Place.Function)}</td><td class=\"image\">{Text(share.Place.Image)}</td></tr>");
        }

        page.Append("</table></section>");
    }

    private static void Shares(StringBuilder page, string title, string of, IReadOnlyList<TimeShare> shares)
    {
        page.Append($"<h2>{Text(title)}</h2><table><tr><th class=\"n\">{Text(of)}</th><th></th></tr>");
        foreach (TimeShare share in shares.Take(Rows))
        {
            page.Append($"<tr><td class=\"n\">{Percent(share.Share)}</td><td>{Text(share.Name)}</td></tr>");
        }

        page.Append("</table>");
    }

    private static void Events(StringBuilder page, string title, IReadOnlyList<EventCount> events)
    {
        page.Append($"<h2>{Text(title)}</h2><table><tr><th class=\"n\">a second</th><th class=\"n\">count</th><th></th></tr>");
        foreach (EventCount entry in events.Take(Rows))
        {
            page.Append($"<tr><td class=\"n\">{Number(entry.PerSecond)}</td><td class=\"n\">{Number(entry.Count)}</td><td class=\"code\">{Text(entry.Name)}</td></tr>");
        }

        page.Append(events.Count == 0 ? "<tr><td>none</td></tr></table>" : "</table>");
    }

    private static void Compilations(StringBuilder page, ProfileSummary summary)
    {
        if (summary.Compilations.Count == 0)
        {
            return;
        }

        page.Append($"<section><h2>Compilations</h2><p>{Text(Invariant($"{summary.Compilations.Count}, {summary.Compilations.Sum(one => one.Milliseconds):0} ms of processor time. The dearest:"))}</p>")
            .Append("<table><tr><th class=\"n\">ms</th><th class=\"n\">at second</th><th>entry</th><th>tier</th><th class=\"n\">guest instructions</th><th class=\"n\">IL bytes</th></tr>");
        foreach (Compilation one in summary.Compilations.OrderByDescending(one => one.Milliseconds).Take(20))
        {
            page.Append(Invariant($"<tr><td class=\"n\">{one.Milliseconds:0.0}</td><td class=\"n\">{one.Seconds:0.0}</td><td class=\"code\">{one.Entry:x8}</td><td>{(one.Optimised ? "optimised" : "quick")}</td><td class=\"n\">{one.Instructions}</td><td class=\"n\">{one.IlBytes}</td></tr>"));
        }

        page.Append("</table></section>");
    }

    private static void Loaded(StringBuilder page, ProfileSummary summary)
    {
        if (summary.Loaded.Count > 0)
        {
            page.Append("<section><h2>Programs and libraries found by their contents</h2><table><tr><th>file</th><th>loaded at</th></tr>");
            foreach ((string file, IReadOnlyList<uint> addresses) in summary.Loaded)
            {
                page.Append($"<tr><td class=\"code\">{Text(file)}</td><td class=\"code\">{string.Join(", ", addresses.Select(address => address.ToString("x8", CultureInfo.InvariantCulture)))}</td></tr>");
            }

            page.Append("</table></section>");
        }
    }

    private static double Mean(ProfileSummary summary, string counter) =>
        summary.Counters.TryGetValue(counter, out IReadOnlyList<CounterValue>? values) && values.Count > 0 ? values.Average(value => value.Value) : 0;

    private static double Last(ProfileSummary summary, string counter) =>
        summary.Counters.TryGetValue(counter, out IReadOnlyList<CounterValue>? values) && values.Count > 0 ? values[^1].Value : 0;

    private static string Percent(double share) => (share * 100).ToString("0.0", CultureInfo.InvariantCulture) + " %";

    private static string Number(double value) => value >= 100 ? value.ToString("#,0", CultureInfo.InvariantCulture) : value.ToString("0.##", CultureInfo.InvariantCulture);

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static string Text(string text) => WebUtility.HtmlEncode(text);
}
