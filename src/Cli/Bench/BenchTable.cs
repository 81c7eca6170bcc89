using System.Globalization;
using Spectre.Console;

namespace Dbt.Cli.Bench;

/// <summary>The result for people, or in columns between tabs.</summary>
internal static class BenchTable
{
    private const string Nothing = "-", Wrong = "FAILED";

    /// <summary>Columns and rows as text, the geometric means last.</summary>
    public static (IReadOnlyList<string> Columns, IReadOnlyList<IReadOnlyList<string>> Rows) Make(BenchResult result)
    {
        string[] guests = [.. result.Machines.Where(machine => machine != MachineCommand.Native)];
        bool hasNative = result.Machines.Contains(MachineCommand.Native);
        var columns = new List<(string Title, Func<Workload, string> Of, Func<IReadOnlyList<Workload>, string> Mean)>();
        if (hasNative)
        {
            Time(MachineCommand.Native, "CPU s", sample => sample.Cpu);
            Time(MachineCommand.Native, "wall s", sample => sample.Wall);
        }

        foreach (string guest in guests)
        {
            Time(guest, "CPU s", sample => sample.Cpu);
            Time(guest, "wall s", sample => sample.Wall);
            if (hasNative)
            {
                Ratio(guest, MachineCommand.Native);
            }

            if (guest != MachineCommand.Tiered)
            {
                Ratio(MachineCommand.Tiered, guest);
            }
        }

        return (
            ["workload", "kind", .. columns.Select(column => column.Title)],
            [
                .. result.Workloads.Select(workload => (IReadOnlyList<string>)[workload.Name, Kind(workload), .. columns.Select(column => column.Of(workload))]),
                .. Mean("compute", [.. result.Workloads.Where(workload => workload.Kind == WorkloadKind.Compute)]),
                .. Mean("all", result.Workloads),
            ]);

        void Time(string machine, string unit, Func<Sample, double> of) => columns.Add((
            $"{result.Title(machine)} {unit}",
            workload => result.Samples(workload.Name, machine).Count == 0 ? Nothing : result.Fault(workload.Name, machine) is null ? Number(result.Median(workload.Name, machine, of), "F3") : Wrong,
            _ => ""));

        void Ratio(string machine, string to)
        {
            Add("CPU", sample => sample.Cpu);
            Add("wall", sample => sample.Wall);

            void Add(string unit, Func<Sample, double> of) => columns.Add((
                $"{result.Title(machine)}/{result.Title(to)} {unit}",
                workload => Number(result.Ratio(workload.Name, machine, to, of), "F2"),
                workloads => Number(result.MeanRatio(workloads, machine, to, of), "F2")));
        }

        IEnumerable<IReadOnlyList<string>> Mean(string which, IReadOnlyList<Workload> workloads) =>
            workloads.Count == 0 ? [] : [["geometric mean", which, .. columns.Select(column => column.Mean(workloads))]];
    }

    /// <summary>Prints it, and behind it what went wrong.</summary>
    public static void Write(BenchResult result, TextWriter writer, bool forPeople)
    {
        (IReadOnlyList<string> columns, IReadOnlyList<IReadOnlyList<string>> rows) = Make(result);
        if (!forPeople)
        {
            foreach (IReadOnlyList<string> row in rows.Prepend(columns))
            {
                writer.WriteLine(string.Join('\t', row));
            }

            return;
        }

        var table = new Table { Border = TableBorder.Simple };
        table.AddColumns([.. columns.Select((title, i) => new TableColumn(Markup.Escape(title)) { Alignment = i < 2 ? Justify.Left : Justify.Right })]);
        foreach (IReadOnlyList<string> row in rows)
        {
            table.AddRow([.. row.Select(cell => cell == Wrong ? $"[red]{cell}[/]" : Markup.Escape(cell))]);
        }

        AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(writer) }).Write(table);
    }

    /// <summary>A workload's kind as it is shown.</summary>
    public static string Kind(Workload workload) => workload.Kind == WorkloadKind.Compute ? "compute" : "system";

    private static string Number(double? value, string format) => value?.ToString(format, CultureInfo.InvariantCulture) ?? Nothing;
}
