using Spectre.Console;

namespace Dbt.Cli.Terminal;

/// <summary>Rows as people read them, and as programs do.</summary>
internal static class PlainTable
{
    /// <summary>A table with a line of titles for people, else columns between tabs.</summary>
    public static void Write(IReadOnlyList<string> columns, IReadOnlyList<string[]> rows, TextWriter writer, bool forPeople)
    {
        if (!forPeople)
        {
            foreach (string[] row in rows)
            {
                writer.WriteLine(string.Join('\t', row));
            }

            return;
        }

        var table = new Table { Border = TableBorder.None, ShowHeaders = true };
        table.AddColumns([.. columns.Select(column => new TableColumn(column) { Padding = new Padding(0, 0, 2, 0) })]);
        foreach (string[] row in rows)
        {
            table.AddRow([.. row.Select(Markup.Escape)]);
        }

        AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(writer) }).Write(table);
    }
}
