using Spectre.Console;

namespace Dbt.Cli.Bench;

/// <summary>What <c>dbt bench --list</c> prints.</summary>
internal static class BenchListing
{
    private static readonly string[] Columns = ["name", "kind", "amount", "packages"];

    /// <summary>A line for each workload: a table for people, else columns between tabs.</summary>
    public static void Write(BenchSettings settings, TextWriter writer, bool forPeople)
    {
        var table = new Table { Border = TableBorder.None };
        table.AddColumns([.. Columns.Select(column => new TableColumn(column) { Padding = new Padding(0, 0, 2, 0) })]);
        foreach (Workload workload in settings.Workloads)
        {
            string[] row = [workload.Name, BenchTable.Kind(workload), $"{workload.ScaledAmount(settings.Scale)}", workload.Packages];
            table.AddRow([.. row.Select(Markup.Escape)]);
            if (!forPeople)
            {
                writer.WriteLine(string.Join('\t', row));
            }
        }

        if (forPeople)
        {
            AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(writer) }).Write(table);
        }
    }
}
