using System.Diagnostics.Tracing;
using System.Globalization;
using Dbt.Translator.Cache;

namespace Dbt.Translator.Diagnostics;

/// <summary>
/// What this process tells those who attach to it: counters, which <c>dotnet-counters</c> shows, and samples of its processors for
/// <c>dbt profile</c>. Nothing runs for it while nobody listens.
/// </summary>
[EventSource(Name = ProviderName)]
public sealed class DbtEventSource : EventSource
{
    /// <summary>Its name.</summary>
    public const string ProviderName = "Dbt";

    /// <summary>The argument by which a session asks for samples: so many a second of each processor.</summary>
    public const string SampleRateArgument = "SampleRate";

    /// <summary>The most that it may ask for.</summary>
    public const int MostSamples = 1000;

    // No initialisers: a session that is there already calls OnEventCommand from the base class's constructor.
    private ProcessorSampler? _sampler;
    private ProcessCounters? _counters;
    private int _rate;

    private DbtEventSource()
    {
    }

    /// <summary>The one there is.</summary>
    public static DbtEventSource Log { get; } = new();

    /// <summary>A processor exists.</summary>
    [Event(1, Level = EventLevel.Informational, Keywords = Keywords.Samples)]
    public void Processor(int number, string name) => WriteEvent(1, number, name);

    /// <summary>Samples: <see cref="SampleRecord"/>s.</summary>
    [Event(2, Level = EventLevel.Informational, Keywords = Keywords.Samples)]
    public void Samples(long at, byte[] records) => WriteEvent(2, at, records);

    /// <summary>The bytes of a page in which a sample was taken.</summary>
    [Event(3, Level = EventLevel.Informational, Keywords = Keywords.Samples)]
    public void Page(long frame, byte[] bytes) => WriteEvent(3, frame, bytes);

    /// <summary>A counter that has a name of its own: a side exit's reason, a hypercall. Once a second.</summary>
    [Event(4, Level = EventLevel.Informational, Keywords = Keywords.Totals)]
    public void Total(string name, long value) => WriteEvent(4, name, value);

    /// <summary>A translation was compiled.</summary>
    [Event(5, Level = EventLevel.Informational, Keywords = Keywords.Compilation)]
    public void Compiled(long entry, int optimised, int instructions, int ilBytes, long nanoseconds) =>
        WriteEvent(5, entry, optimised, instructions, ilBytes, nanoseconds);

    /// <summary>What a tool wants to know of this process.</summary>
    [Event(6, Level = EventLevel.Informational, Keywords = Keywords.Samples)]
    public void Fact(string name, string value) => WriteEvent(6, name, value);

    /// <summary>Where a translation's machine code lies: all of it when a session begins, and what comes meanwhile.</summary>
    /// <param name="address">The first byte.</param>
    /// <param name="bytes">Length.</param>
    /// <param name="entry">EIP at its entry.</param>
    [Event(7, Level = EventLevel.Informational, Keywords = Keywords.Places)]
    public void Place(long address, long bytes, long entry) => WriteEvent(7, address, bytes, entry);

    /// <summary>Notes where a translation is that is of no method of the runtime's, and tells it if anybody listens.</summary>
    [NonEvent]
    internal void TellPlace(Translation translation)
    {
        if (translation.Code is { Machine: { } machine } code && CodeHeap.Name(code.Function, machine.Bytes.Length, translation.Shape.Entry) && IsEnabled(EventLevel.Informational, Keywords.Places))
        {
            Place(code.Function, machine.Bytes.Length, translation.Shape.Entry);
        }
    }

    /// <summary>Tells of all translations that are there, if anybody listens.</summary>
    [NonEvent]
    internal void TellPlaces()
    {
        if (IsEnabled(EventLevel.Informational, Keywords.Places))
        {
            // No lambda: it would be a method of this class, and taken for an event.
            foreach ((nint address, int bytes, uint entry) in CodeHeap.ListNamed())
            {
                Place(address, bytes, entry);
            }
        }
    }

    /// <summary>Tells that a translation was compiled, if anybody listens.</summary>
    [NonEvent]
    internal void TellCompiled(Translation translation, long nanoseconds)
    {
        if (IsEnabled(EventLevel.Informational, Keywords.Compilation) && translation.Region is { } region)
        {
            Compiled(region.Entry, translation.Optimized ? 1 : 0, region.InstructionCount, translation.Code!.IlBytes, nanoseconds);
        }
    }

    /// <summary>Tells of a processor, if anybody listens.</summary>
    [NonEvent]
    internal void TellProcessor(ProcessorProbe probe)
    {
        if (IsEnabled(EventLevel.Informational, Keywords.Samples))
        {
            Processor(probe.Number, probe.Name);
        }
    }

    /// <inheritdoc/>
    protected override void OnEventCommand(EventCommandEventArgs command)
    {
        if (command.Command == EventCommand.Enable)
        {
            _counters ??= new ProcessCounters(this);
            if (command.Arguments?.TryGetValue(SampleRateArgument, out string? text) == true
                && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int rate))
            {
                _rate = Math.Clamp(rate, 1, MostSamples);
            }
        }

        bool wanted = IsEnabled(EventLevel.Informational, Keywords.Samples) && _rate > 0;
        _rate = wanted ? _rate : 0;
        (_sampler ??= new ProcessorSampler(this)).Set(_rate);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _sampler?.Set(0);
            _counters?.Dispose();
        }

        base.Dispose(disposing);
    }

    [NonEvent]
    private unsafe void WriteEvent(int id, long entry, int optimised, int instructions, int ilBytes, long nanoseconds)
    {
        EventData* data = stackalloc EventData[5];
        data[0] = new EventData { DataPointer = (nint)(&entry), Size = sizeof(long) };
        data[1] = new EventData { DataPointer = (nint)(&optimised), Size = sizeof(int) };
        data[2] = new EventData { DataPointer = (nint)(&instructions), Size = sizeof(int) };
        data[3] = new EventData { DataPointer = (nint)(&ilBytes), Size = sizeof(int) };
        data[4] = new EventData { DataPointer = (nint)(&nanoseconds), Size = sizeof(long) };
        WriteEventCore(id, 5, data);
    }

    /// <summary>What a session may ask for.</summary>
    public static class Keywords
    {
        /// <summary>Samples, with <see cref="SampleRateArgument"/>, and what is needed to read them.</summary>
        public const EventKeywords Samples = (EventKeywords)1;

        /// <summary>Counters by name, once a second; with samples only.</summary>
        public const EventKeywords Totals = (EventKeywords)2;

        /// <summary>Each compilation.</summary>
        public const EventKeywords Compilation = (EventKeywords)4;

        /// <summary>Where machine code lies; with samples only.</summary>
        public const EventKeywords Places = (EventKeywords)8;
    }
}
