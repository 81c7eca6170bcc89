using System.Net;
using System.Text;

namespace Dbt.Cli.Bench;

/// <summary>The result as a page that needs no other file.</summary>
internal static class BenchPage
{
    private const string Head = """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <title>dbt bench</title>
        <style>
        body { font-family: sans-serif; margin: 2em; }
        table { border-collapse: collapse; margin: 1em 0; }
        th, td { padding: .2em .8em; border-bottom: 1px solid #ccc; text-align: right; }
        th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left; }
        .wrong { color: #c00; }
        svg { max-width: 100%; height: auto; }
        </style>
        </head>
        <body>
        <h1>dbt bench</h1>

        """;

    /// <summary>Makes it.</summary>
    public static string Make(BenchResult result, BenchSettings settings)
    {
        var page = new StringBuilder(Head);
        string native = result.WhyNotNative is string why ? $"No native run: {why}." : $"Programs of the host itself: {result.NativeArchitecture}.";
        page.Append(System.Globalization.CultureInfo.InvariantCulture, $"<p>{settings.Rounds} rounds, scale {settings.Scale}, medians. {WebUtility.HtmlEncode(native)}</p>\n");
        string[] guests = [.. result.Machines.Where(machine => machine != MachineCommand.Native)];
        Plot($"CPU time, guest to {result.Title(MachineCommand.Native)}", result.Machines.Contains(MachineCommand.Native) ? [.. guests.Select(guest => (guest, MachineCommand.Native))] : []);
        Plot("CPU time, tiered engine to others", [.. guests.Where(guest => guest != MachineCommand.Tiered).Select(guest => (MachineCommand.Tiered, guest))]);
        Table(page, result);
        foreach ((string workload, string machine, string fault) in result.Faults())
        {
            page.Append("<p class=\"wrong\">").Append(WebUtility.HtmlEncode($"{workload} on {machine}: {fault}")).Append("</p>\n");
        }

        return page.Append("</body>\n</html>\n").ToString();

        void Plot(string title, (string Machine, string To)[] pairs)
        {
            if (BenchPlots.Ratios(result, title, pairs) is string svg)
            {
                // An XML declaration has no place within a page.
                page.Append(svg.AsSpan(svg.IndexOf("<svg", StringComparison.Ordinal))).Append('\n');
            }
        }
    }

    private static void Table(StringBuilder page, BenchResult result)
    {
        (IReadOnlyList<string> columns, IReadOnlyList<IReadOnlyList<string>> rows) = BenchTable.Make(result);
        page.Append("<table>\n<tr>").AppendJoin("", columns.Select(column => $"<th>{WebUtility.HtmlEncode(column)}</th>")).Append("</tr>\n");
        foreach (IReadOnlyList<string> row in rows)
        {
            page.Append("<tr>").AppendJoin("", row.Select(cell => $"<td>{WebUtility.HtmlEncode(cell)}</td>")).Append("</tr>\n");
        }

        page.Append("</table>\n");
    }
}
