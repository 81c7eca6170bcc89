using System.Text.Encodings.Web;
using System.Text.Json;
using Dbt.Translator;
using Dbt.Xen;

namespace Dbt.Cli.Running;

/// <summary>What --stats writes.</summary>
internal static class StatisticsFile
{
    private static readonly JsonSerializerOptions Format = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes a domain's counters. After a restart of the guest the file holds those of its last run.</summary>
    /// <exception cref="IOException">The file can't be written.</exception>
    public static void Write(string path, Domain domain) => File.WriteAllText(path, ToJson(domain) + "\n");

    /// <summary>A domain's counters, all its processors together.</summary>
    public static string ToJson(Domain domain) => JsonSerializer.Serialize(Collect(domain), Format);

    private static Report Collect(Domain domain)
    {
        List<EngineStatistics> engines = [.. domain.Vcpus.Select(vcpu => vcpu.EngineStatistics).OfType<EngineStatistics>()];
        ulong interpreted = Sum(e => e.InterpretedInstructions), quick = Sum(e => e.QuickInstructions), optimized = Sum(e => e.OptimizedInstructions);
        return new Report
        {
            Engine = domain.EngineOptions.Kind.ToString().ToLowerInvariant(),
            Instructions = new InstructionCounts(interpreted + quick + optimized, interpreted, quick, optimized),
            BlocksDecoded = engines.Sum(e => e.BlocksDecoded),
            BlocksCompiled = engines.Sum(e => e.BlocksCompiled),
            RegionsCompiled = engines.Sum(e => e.RegionsCompiled),
            RegionsTakenOver = engines.Sum(e => e.RegionsTakenOver),
            CompileMillisecondsSaved = Math.Round(engines.Sum(e => e.CompileMillisecondsSaved), 3),
            Invalidations = engines.Sum(e => e.Invalidations),
            CompileMilliseconds = Math.Round(engines.Sum(e => e.CompileMilliseconds), 3),
            IlBytes = engines.Sum(e => e.IlBytes),
            Links = engines.Sum(e => e.Links),
            LookUps = engines.Sum(e => e.LookUps),
            LookUpMisses = engines.Sum(e => e.LookUpMisses),
            SideExits = Sorted(engines.SelectMany(e => e.SideExits)),
            TlbFills = domain.Memory.TlbFills,
            Hypercalls = Sorted(domain.HypercallCounts),
            Events = domain.Events.Sent,
        };

        ulong Sum(Func<EngineStatistics, ulong> counter) => engines.Aggregate(0ul, (sum, engine) => sum + counter(engine));
    }

    /// <summary>Sums by name, the largest first.</summary>
    private static Dictionary<string, long> Sorted(IEnumerable<KeyValuePair<string, long>> counts) => counts
        .GroupBy(pair => pair.Key, (name, pairs) => (Name: name, Count: pairs.Sum(pair => pair.Value)))
        .OrderByDescending(entry => entry.Count).ThenBy(entry => entry.Name, StringComparer.Ordinal)
        .ToDictionary(entry => entry.Name, entry => entry.Count);

    private sealed record InstructionCounts(ulong Total, ulong Interpreted, ulong Quick, ulong Optimized);

    private sealed record Report
    {
        public required string Engine { get; init; }

        public required InstructionCounts Instructions { get; init; }

        public long BlocksDecoded { get; init; }

        public long Links { get; init; }

        public long LookUps { get; init; }

        public long LookUpMisses { get; init; }

        public long BlocksCompiled { get; init; }

        public long RegionsCompiled { get; init; }

        public long RegionsTakenOver { get; init; }

        public double CompileMillisecondsSaved { get; init; }

        public long Invalidations { get; init; }

        public double CompileMilliseconds { get; init; }

        public long IlBytes { get; init; }

        public required Dictionary<string, long> SideExits { get; init; }

        public long TlbFills { get; init; }

        public required Dictionary<string, long> Hypercalls { get; init; }

        public long Events { get; init; }
    }
}
