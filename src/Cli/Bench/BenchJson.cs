using System.Text.Encodings.Web;
using System.Text.Json;

namespace Dbt.Cli.Bench;

/// <summary>The result as JSON: every sample, and the ratios that the table shows.</summary>
internal static class BenchJson
{
    private static readonly JsonSerializerOptions Format = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Makes it.</summary>
    public static string Make(BenchResult result, BenchSettings settings) => JsonSerializer.Serialize(
        new
        {
            settings.Rounds,
            settings.Scale,
            result.Machines,
            result.Reference,
            NativeArchitecture = result.WhyNotNative is null ? result.NativeArchitecture : null,
            result.WhyNotNative,
            Workloads = result.Workloads.Select(workload => new
            {
                workload.Name,
                Kind = BenchTable.Kind(workload),
                Amount = workload.ScaledAmount(settings.Scale),
                Runs = result.Machines.ToDictionary(machine => machine, machine => new
                {
                    Fault = result.Fault(workload.Name, machine),
                    CpuSeconds = result.Median(workload.Name, machine, sample => sample.Cpu),
                    WallSeconds = result.Median(workload.Name, machine, sample => sample.Wall),
                    Samples = result.Samples(workload.Name, machine),
                }),
                Ratios = Pairs(result).ToDictionary(Name, pair => new
                {
                    Cpu = result.Ratio(workload.Name, pair.Machine, pair.To, sample => sample.Cpu),
                    Wall = result.Ratio(workload.Name, pair.Machine, pair.To, sample => sample.Wall),
                }),
            }),
            GeometricMeans = new
            {
                Compute = Means(result, [.. result.Workloads.Where(workload => workload.Kind == WorkloadKind.Compute)]),
                All = Means(result, result.Workloads),
            },
        },
        Format) + "\n";

    private static object Means(BenchResult result, IReadOnlyList<Workload> workloads) => Pairs(result).ToDictionary(Name, pair => new
    {
        Cpu = result.MeanRatio(workloads, pair.Machine, pair.To, sample => sample.Cpu),
        Wall = result.MeanRatio(workloads, pair.Machine, pair.To, sample => sample.Wall),
    });

    private static IEnumerable<(string Machine, string To)> Pairs(BenchResult result) =>
        from machine in result.Machines
        from to in result.Machines
        where machine != to && (to == MachineCommand.Native || machine == MachineCommand.Tiered)
        select (machine, to);

    private static string Name((string Machine, string To) pair) => $"{pair.Machine}/{pair.To}";
}
