using System.Diagnostics;
using System.Diagnostics.Tracing;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Dbt.Translator.Diagnostics;
using Microsoft.Diagnostics.NETCore.Client;
using Microsoft.Diagnostics.Tracing;
using Microsoft.Diagnostics.Tracing.Parsers;
using Microsoft.Diagnostics.Tracing.Parsers.Clr;

namespace Dbt.Cli.Profile;

/// <summary>A session on a running process: EventPipe, which every .NET process has a socket for, with our provider.</summary>
internal sealed class ProfileSession : IDisposable
{
    private const int BufferMiB = 64;
    private const int ProcessorEvent = 1, SamplesEvent = 2, PageEvent = 3, TotalEvent = 4, CompiledEvent = 5, FactEvent = 6, PlaceEvent = 7;

    private readonly EventPipeSession _session;
    private readonly EventPipeEventSource _source;
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly Task _reader;
    private bool _told;

    private ProfileSession(EventPipeSession session, bool methods, ProfileTarget target)
    {
        _session = session;
        Recording = new ProfileRecording { OnlyProcessors = target.Processors };
        foreach ((string fact, string value) in target.Facts)
        {
            Recording.Facts[fact] = value;
        }

        _source = new EventPipeEventSource(session.EventStream);
        _source.Dynamic.All += OnEvent;
        if (methods)
        {
            _source.Clr.MethodLoadVerbose += OnMethod;
            new ClrRundownTraceEventParser(_source).MethodDCStopVerbose += OnMethod;
        }

        _reader = Task.Factory.StartNew(() => _source.Process(), TaskCreationOptions.LongRunning);
    }

    /// <summary>What it has told so far.</summary>
    public ProfileRecording Recording { get; }

    /// <summary>Completes when the process has ended, or the session was stopped.</summary>
    public Task Ended => _reader;

    /// <summary>Attaches.</summary>
    /// <param name="target">The process, and which of its guests.</param>
    /// <param name="rate">Samples a second of each processor.</param>
    /// <param name="methods">Whether it is to tell of all its methods too.</param>
    /// <exception cref="ProfileException">It can't be attached to.</exception>
    public static ProfileSession Attach(ProfileTarget target, int rate, bool methods)
    {
        int process = target.ProcessId;
        var providers = new List<EventPipeProvider>
        {
            new(DbtEventSource.ProviderName, EventLevel.Informational,
                (long)(DbtEventSource.Keywords.Samples | DbtEventSource.Keywords.Totals | DbtEventSource.Keywords.Compilation | (methods ? DbtEventSource.Keywords.Places : EventKeywords.None)),
                new Dictionary<string, string>
                {
                    [DbtEventSource.SampleRateArgument] = rate.ToString(CultureInfo.InvariantCulture),
                    ["EventCounterIntervalSec"] = "1",
                }),
        };
        if (methods)
        {
            providers.Add(new EventPipeProvider(ClrTraceEventParser.ProviderName, EventLevel.Verbose, (long)ClrTraceEventParser.Keywords.Jit));
        }

        try
        {
            // No stacks: they are the host's, and walking them costs more than all the rest.
            var configuration = new EventPipeSessionConfiguration(providers, BufferMiB, requestRundown: methods, requestStackwalk: false);
            return new ProfileSession(new DiagnosticsClient(process).StartEventPipeSession(configuration), methods, target);
        }
        catch (Exception exception) when (exception is DiagnosticsClientException or IOException or UnauthorizedAccessException or TimeoutException or System.Net.Sockets.SocketException)
        {
            throw new ProfileException($"process {process} can't be attached to: it is no .NET process of this user, or DOTNET_EnableDiagnostics=0 is in its environment ({FirstSentence(exception.Message)})");
        }
    }

    /// <summary>Waits until the process has told that it runs guests.</summary>
    /// <exception cref="ProfileException">It doesn't.</exception>
    public void AwaitGuest(int process, TimeSpan limit)
    {
        if (!SpinWait.SpinUntil(() => Locked(recording => recording.Processors.Count > 0) || _reader.IsCompleted, limit) || Locked(recording => recording.Processors.Count == 0))
        {
            throw new ProfileException(_reader.IsCompleted
                ? $"process {process} has ended"
                : $"process {process} says nothing of a guest: it is no dbt run, or one of an older version");
        }
    }

    /// <summary>Ends the session and reads what is still on its way.</summary>
    public void Stop()
    {
        lock (Recording.Lock)
        {
            Recording.Seconds = _clock.Elapsed.TotalSeconds;
        }

        try
        {
            _session.Stop();
        }
        catch (Exception exception) when (exception is DiagnosticsClientException or IOException or TimeoutException or System.Net.Sockets.SocketException)
        {
            // The process has ended, and the session with it.
        }

        try
        {
            _reader.Wait(TimeSpan.FromSeconds(30));
        }
        catch (AggregateException)
        {
            // A stream that a process left in the middle of a record; what came before it counts.
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _session.Dispose();
        try
        {
            _reader.Wait(TimeSpan.FromSeconds(5));
            _source.Dispose();
        }
        catch (AggregateException)
        {
            // As in Stop.
        }
    }

    private static string FirstSentence(string message)
    {
        int end = message.IndexOf(". ", StringComparison.Ordinal);
        return end < 0 ? message : message[..end];
    }

    private T Locked<T>(Func<ProfileRecording, T> look)
    {
        lock (Recording.Lock)
        {
            return look(Recording);
        }
    }

    private void OnEvent(TraceEvent data)
    {
        if (data.ProviderName != DbtEventSource.ProviderName)
        {
            return;
        }

        lock (Recording.Lock)
        {
            if (data.EventName == "EventCounters")
            {
                OnCounter(data);
            }
            else
            {
                OnOwnEvent((int)data.ID, data.EventData());
            }
        }
    }

    // An EventSource writes its arguments one after another: numbers as they are, strings in UTF-16 with a zero, arrays behind their length.
    private void OnOwnEvent(int id, ReadOnlySpan<byte> bytes)
    {
        switch (id)
        {
            case ProcessorEvent:
                Recording.AddProcessor(MemoryMarshal.Read<int>(bytes), Text(bytes[4..], out _));
                break;
            case SamplesEvent:
                // Sums are told once before the first sample: those that come up later began at 0.
                _told |= Recording.Processors.Count > 0;
                ReadOnlySpan<byte> records = bytes.Slice(12, MemoryMarshal.Read<int>(bytes[8..]));
                Recording.Add(MemoryMarshal.Read<long>(bytes), MemoryMarshal.Cast<byte, SampleRecord>(records));
                break;
            case PageEvent:
                Recording.SetPage((uint)MemoryMarshal.Read<long>(bytes), bytes.Slice(12, MemoryMarshal.Read<int>(bytes[8..])).ToArray());
                break;
            case TotalEvent:
                string name = Text(bytes, out int length);
                Recording.SetTotal(name, MemoryMarshal.Read<long>(bytes[length..]), first: !_told);
                break;
            case CompiledEvent:
                Recording.Compilations.Add(new Compilation(
                    _clock.Elapsed.TotalSeconds,
                    (uint)MemoryMarshal.Read<long>(bytes),
                    MemoryMarshal.Read<int>(bytes[8..]) != 0,
                    MemoryMarshal.Read<int>(bytes[12..]),
                    MemoryMarshal.Read<int>(bytes[16..]),
                    MemoryMarshal.Read<long>(bytes[20..]) / 1e6));
                break;
            case PlaceEvent:
                Recording.Methods.Add(new HostMethod(MemoryMarshal.Read<ulong>(bytes), (uint)MemoryMarshal.Read<long>(bytes[8..]), $"g_{MemoryMarshal.Read<long>(bytes[16..]):x8}"));
                break;
            case FactEvent:
                string fact = Text(bytes, out int end);
                if (Recording.OnlyProcessors is null)
                {
                    Recording.Facts[fact] = Text(bytes[end..], out _);
                }

                break;
        }

        static string Text(ReadOnlySpan<byte> bytes, out int length)
        {
            ReadOnlySpan<char> characters = MemoryMarshal.Cast<byte, char>(bytes);
            int count = Math.Max(0, characters.IndexOf('\0'));
            length = (count + 1) * sizeof(char);
            return characters[..count].ToString();
        }
    }

    private void OnCounter(TraceEvent data)
    {
        if (data.PayloadValue(0) is not IDictionary<string, object> outer || outer["Payload"] is not IDictionary<string, object> counter)
        {
            return;
        }

        // A counter's first second came before ours.
        bool isRate = counter.TryGetValue("Increment", out object? value);
        double seconds = Convert.ToDouble(counter["IntervalSec"], CultureInfo.InvariantCulture);
        double number = Convert.ToDouble(isRate ? value : counter["Mean"], CultureInfo.InvariantCulture);
        Recording.AddCounter((string)counter["Name"], new CounterValue(_clock.Elapsed.TotalSeconds, isRate && seconds > 0 ? number / seconds : number));
    }

    private void OnMethod(MethodLoadUnloadVerboseTraceData method) => Add(method.MethodStartAddress, method.MethodSize, method.MethodNamespace, method.MethodName);

    private void Add(ulong address, int size, string type, string name)
    {
        lock (Recording.Lock)
        {
            Recording.Methods.Add(new HostMethod(address, (uint)size, type.Length == 0 ? name : new StringBuilder(type).Append("::").Append(name).ToString()));
        }
    }
}
