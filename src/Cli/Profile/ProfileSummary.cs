using System.Globalization;
using Dbt.Translator.Diagnostics;
using Dbt.Xen.Diagnostics;

namespace Dbt.Cli.Profile;

/// <summary>A part of the time.</summary>
/// <param name="Name">Of what.</param>
/// <param name="Seconds">How long.</param>
/// <param name="Share">Of the whole, 0 to 1.</param>
internal sealed record TimeShare(string Name, double Seconds, double Share);

/// <summary>A function's, or a block's, part of the time.</summary>
/// <param name="Place">Where.</param>
/// <param name="Address">A block's address; 0 for a function.</param>
/// <param name="Seconds">How long.</param>
/// <param name="Share">Of the time in which processors did anything, 0 to 1.</param>
/// <param name="Interpreted">Of that, the part in the interpreter.</param>
/// <param name="Quick">Of that, the part in quick translations.</param>
/// <param name="Optimised">Of that, the part in optimised regions.</param>
internal sealed record CodeShare(CodePlace Place, uint Address, double Seconds, double Share, double Interpreted, double Quick, double Optimised);

/// <summary>How often something happened.</summary>
internal sealed record EventCount(string Name, long Count, double PerSecond);

/// <summary>What reports show of a recording.</summary>
internal sealed record ProfileSummary
{
    /// <summary>The guest.</summary>
    public required string Guest { get; init; }

    /// <summary>Its process.</summary>
    public required int ProcessId { get; init; }

    /// <summary>How long was looked.</summary>
    public required double Seconds { get; init; }

    /// <summary>Samples taken.</summary>
    public required int Samples { get; init; }

    /// <summary>Processors' time in which they did something, and all of it.</summary>
    public required double BusySeconds { get; init; }

    /// <summary>See <see cref="BusySeconds"/>.</summary>
    public required double TotalSeconds { get; init; }

    /// <summary>What processors did; of the whole time.</summary>
    public required IReadOnlyList<TimeShare> Activities { get; init; }

    /// <summary>Guest code by image; of the busy time.</summary>
    public required IReadOnlyList<TimeShare> Images { get; init; }

    /// <summary>Guest functions, the hottest first.</summary>
    public required IReadOnlyList<CodeShare> Functions { get; init; }

    /// <summary>Guest blocks, the hottest first.</summary>
    public required IReadOnlyList<CodeShare> Blocks { get; init; }

    /// <summary>Side exits by reason, the most frequent first.</summary>
    public required IReadOnlyList<EventCount> SideExits { get; init; }

    /// <summary>Hypercalls by name, the most frequent first.</summary>
    public required IReadOnlyList<EventCount> Hypercalls { get; init; }

    /// <summary>Counters over time.</summary>
    public required IReadOnlyDictionary<string, IReadOnlyList<CounterValue>> Counters { get; init; }

    /// <summary>Compilations while it was looked.</summary>
    public required IReadOnlyList<Compilation> Compilations { get; init; }

    /// <summary>Files in which code was found, and where they are loaded.</summary>
    public required IReadOnlyDictionary<string, IReadOnlyList<uint>> Loaded { get; init; }

    /// <summary>Sums a recording up.</summary>
    public static ProfileSummary Of(ProfileRecording recording, Symboliser symbols, ProfileTarget target)
    {
        var activities = new Dictionary<string, double>();
        var images = new Dictionary<string, double>();
        var functions = new Dictionary<(CodePlace Place, uint Address), double[]>();
        var blocks = new Dictionary<(CodePlace Place, uint Address), double[]>();
        double total = 0, busy = 0;
        foreach (TimedSample sample in recording.Samples)
        {
            var doing = (ProcessorActivity)sample.Record.Doing;
            double seconds = sample.Record.Weight / 1e6;
            total += seconds;
            busy += doing is ProcessorActivity.Idle or ProcessorActivity.Offline ? 0 : seconds;
            Add(activities, NameOf(sample.Record), seconds);
            if (IsGuest(doing))
            {
                CodePlace place = symbols.PlaceOf(sample);
                Add(images, place.Image, seconds);
                AddTier(functions, (place, 0), doing, seconds);
                AddTier(blocks, (place, sample.Record.Address), doing, seconds);
            }
        }

        double length = Math.Max(recording.Seconds, 1e-3);
        return new ProfileSummary
        {
            Guest = recording.Facts.GetValueOrDefault(GuestFacts.Name, target.Name),
            ProcessId = target.ProcessId,
            Seconds = recording.Seconds,
            Samples = recording.Samples.Count,
            BusySeconds = busy,
            TotalSeconds = total,
            Activities = Shares(activities, total),
            Images = Shares(images, busy),
            Functions = Code(functions, busy),
            Blocks = Code(blocks, busy),
            SideExits = Counts("exit:"),
            Hypercalls = Counts("hypercall:"),
            Counters = recording.Counters.ToDictionary(pair => pair.Key, IReadOnlyList<CounterValue> (pair) => [.. pair.Value]),
            Compilations = [.. recording.Compilations],
            Loaded = symbols.Found.ToDictionary(pair => pair.Key, IReadOnlyList<uint> (pair) => [.. pair.Value]),
        };

        IReadOnlyList<EventCount> Counts(string prefix) =>
        [
            .. recording.Totals.Where(pair => pair.Key.StartsWith(prefix, StringComparison.Ordinal) && pair.Value.Last > pair.Value.First)
                .Select(pair => new EventCount(pair.Key[prefix.Length..], pair.Value.Last - pair.Value.First, (pair.Value.Last - pair.Value.First) / length))
                .OrderByDescending(entry => entry.Count).ThenBy(entry => entry.Name, StringComparer.Ordinal),
        ];
    }

    /// <summary>Whether it is the guest's own code that runs.</summary>
    public static bool IsGuest(ProcessorActivity doing) =>
        doing is ProcessorActivity.Interpreting or ProcessorActivity.Translated or ProcessorActivity.Quick or ProcessorActivity.Optimised;

    /// <summary>What a sample's processor did, for a person.</summary>
    public static string NameOf(in SampleRecord record) => (ProcessorActivity)record.Doing switch
    {
        ProcessorActivity.Dispatching => "hypervisor: dispatcher, other",
        ProcessorActivity.Interpreting => "guest: interpreted",
        ProcessorActivity.Quick or ProcessorActivity.Translated => "guest: quick translations",
        ProcessorActivity.Optimised => "guest: optimised regions",
        ProcessorActivity.Decoding => "hypervisor: decoding",
        ProcessorActivity.Compiling => "hypervisor: finding and compiling regions",
        ProcessorActivity.PageTables => "hypervisor: page tables",
        ProcessorActivity.Delivering => "hypervisor: faults and emulation",
        ProcessorActivity.Hypercall => $"hypercall: {VcpuProbe.NameOfHypercall(record.Detail)}",
        ProcessorActivity.Idle => "idle",
        ProcessorActivity.Offline => "offline",
        _ => record.Doing.ToString(CultureInfo.InvariantCulture),
    };

    private static void Add(Dictionary<string, double> sums, string name, double seconds) => sums[name] = sums.GetValueOrDefault(name) + seconds;

    private static void AddTier(Dictionary<(CodePlace, uint), double[]> sums, (CodePlace, uint) key, ProcessorActivity doing, double seconds)
    {
        if (!sums.TryGetValue(key, out double[]? tiers))
        {
            sums.Add(key, tiers = new double[3]);
        }

        tiers[doing switch { ProcessorActivity.Interpreting => 0, ProcessorActivity.Optimised => 2, _ => 1 }] += seconds;
    }

    private static IReadOnlyList<TimeShare> Shares(Dictionary<string, double> sums, double whole) =>
    [
        .. sums.Select(pair => new TimeShare(pair.Key, pair.Value, whole > 0 ? pair.Value / whole : 0))
            .OrderByDescending(share => share.Seconds).ThenBy(share => share.Name, StringComparer.Ordinal),
    ];

    private static IReadOnlyList<CodeShare> Code(Dictionary<(CodePlace Place, uint Address), double[]> sums, double whole) =>
    [
        .. sums.Select(pair => (pair.Key, Sum: pair.Value.Sum(), Tiers: pair.Value)).Where(entry => entry.Sum > 0)
            .Select(entry => new CodeShare(entry.Key.Place, entry.Key.Address, entry.Sum, entry.Sum / whole,
                entry.Tiers[0] / entry.Sum, entry.Tiers[1] / entry.Sum, entry.Tiers[2] / entry.Sum))
            .OrderByDescending(share => share.Seconds).ThenBy(share => share.Place.Function, StringComparer.Ordinal),
    ];
}
