using Dbt.Translator.Diagnostics;

namespace Dbt.Cli.Profile;

/// <summary>A sample with its time and the page that it was taken in.</summary>
/// <param name="At">The process's clock, milliseconds.</param>
/// <param name="Page">Number of the page in the recording, or -1.</param>
/// <param name="Record">As the process told it.</param>
internal readonly record struct TimedSample(long At, int Page, SampleRecord Record);

/// <summary>A value of a counter.</summary>
/// <param name="Seconds">Time since the session began.</param>
/// <param name="Value">What it was; for rates a second's.</param>
internal readonly record struct CounterValue(double Seconds, double Value);

/// <summary>A translation that was compiled while the session was on.</summary>
/// <param name="Seconds">Time since the session began.</param>
/// <param name="Entry">EIP.</param>
/// <param name="Optimised">Its tier.</param>
/// <param name="Instructions">Guest instructions in it.</param>
/// <param name="IlBytes">Its IL.</param>
/// <param name="Milliseconds">Processor time that it took.</param>
internal sealed record Compilation(double Seconds, uint Entry, bool Optimised, int Instructions, int IlBytes, double Milliseconds);

/// <summary>A method of the process in its just-in-time compiler's code heap.</summary>
internal sealed record HostMethod(ulong Address, uint Size, string Name);

/// <summary>What a session told. Filled by one thread; others hold <see cref="Lock"/> to look.</summary>
internal sealed class ProfileRecording
{
    private readonly Dictionary<uint, int> _pageOfFrame = [];

    /// <summary>Guards everything here while the session is on.</summary>
    public Lock Lock { get; } = new();

    /// <summary>The samples, in order.</summary>
    public List<TimedSample> Samples { get; } = [];

    /// <summary>Pages in which samples were taken.</summary>
    public List<byte[]> Pages { get; } = [];

    /// <summary>Whose processors count: those named <c>NAME/vcpuN</c>; null for all.</summary>
    public string? OnlyProcessors { get; init; }

    /// <summary>Names of the processors.</summary>
    public Dictionary<int, string> Processors { get; } = [];

    /// <summary>What the process told of itself: see <see cref="GuestFacts"/>.</summary>
    public Dictionary<string, string> Facts { get; } = [];

    /// <summary>Counters, a value a second.</summary>
    public SortedDictionary<string, List<CounterValue>> Counters { get; } = new(StringComparer.Ordinal);

    /// <summary>Sums so far of what has a name of its own: the first and the last that were told.</summary>
    public SortedDictionary<string, (long First, long Last)> Totals { get; } = new(StringComparer.Ordinal);

    /// <summary>Compilations.</summary>
    public List<Compilation> Compilations { get; } = [];

    /// <summary>The process's methods, where they were asked for.</summary>
    public List<HostMethod> Methods { get; } = [];

    /// <summary>How long the session was on.</summary>
    public double Seconds { get; set; }

    /// <summary>Adds a processor, if it counts.</summary>
    public void AddProcessor(int number, string name)
    {
        if (OnlyProcessors is null || name.StartsWith(OnlyProcessors + "/vcpu", StringComparison.Ordinal))
        {
            Processors[number] = name;
        }
    }

    /// <summary>Adds samples of one event.</summary>
    public void Add(long at, ReadOnlySpan<SampleRecord> records)
    {
        foreach (ref readonly SampleRecord record in records)
        {
            if (OnlyProcessors is not null && !Processors.ContainsKey(record.Processor))
            {
                continue;
            }

            int page = record.Frame != SampleRecord.NoFrame && _pageOfFrame.TryGetValue(record.Frame, out int known) ? known : -1;
            Samples.Add(new TimedSample(at + record.After, page, record));
        }
    }

    /// <summary>A frame holds these bytes from now on.</summary>
    public void SetPage(uint frame, byte[] bytes)
    {
        _pageOfFrame[frame] = Pages.Count;
        Pages.Add(bytes);
    }

    /// <summary>Notes a sum.</summary>
    public void SetTotal(string name, long value, bool first) =>
        Totals[name] = Totals.TryGetValue(name, out (long First, long Last) old) ? (old.First, value) : (first ? value : 0, value);

    /// <summary>Notes a counter's value.</summary>
    public void AddCounter(string name, CounterValue value)
    {
        if (!Counters.TryGetValue(name, out List<CounterValue>? series))
        {
            Counters.Add(name, series = []);
        }

        series.Add(value);
    }
}
