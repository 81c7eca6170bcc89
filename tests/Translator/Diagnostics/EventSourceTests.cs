using System.Collections.Concurrent;
using System.Diagnostics.Tracing;
using System.Globalization;
using System.Runtime.InteropServices;
using Dbt.Translator;
using Dbt.Translator.Diagnostics;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Diagnostics;

/// <summary>Counters and samples of an engine that runs, as a listener in the process gets them. Other tests' engines may count too.</summary>
public sealed unsafe class EventSourceTests : IDisposable
{
    private const uint Code = 0x10000, Loop = 0x10005;

    private readonly TestPlatform _platform = new();

    public void Dispose() => _platform.Dispose();

    [Theory]
    [InlineData("interpreter", ProcessorActivity.Interpreting)]
    [InlineData("quick", ProcessorActivity.Quick)]
    [InlineData("optimized", ProcessorActivity.Optimised)]
    public void ALoopIsCountedAndSampledWhereItRuns(string name, ProcessorActivity tier)
    {
        // Turns until told otherwise, one direct block of it at a known address.
        _platform.Assemble(Code, a =>
        {
            a.mov(ecx, 0);
            Iced.Intel.Label loop = a.CreateLabel();
            a.Label(ref loop);
            a.inc(__dword_ptr[0x20000]);
            a.cmp(__dword_ptr[0x21000], 0);
            a.je(loop);
            a.@int(0x80);
        });
        _platform.Cpu->Eip = Code;
        using var listener = new Listener();
        CounterTotals before = ProcessorRegistry.Totals(fresh: true);
        using Engine engine = EngineUnderTest.Create(name, _platform);
        var probe = new ProcessorProbe($"test of {name}", _platform.Cpu, engine, surroundings: null);
        ProcessorRegistry.Add(probe);
        var thread = new Thread(() => engine.Run(_platform.Cpu));
        thread.Start();
        bool seen = SpinWait.SpinUntil(() => listener.Samples.Count(sample => sample.Processor == probe.Number && sample.Address == Loop && sample.Doing == (byte)tier) > 200, TimeSpan.FromMinutes(1));
        bool counted = SpinWait.SpinUntil(() => listener.Counters.GetValueOrDefault($"instructions-{Name(tier)}") > 0, TimeSpan.FromMinutes(1));
        *(uint*)(_platform.Memory + 0x21000) = 1;
        thread.Join();
        probe.Dispose();

        Assert.True(seen, "no samples of the loop");
        Assert.True(counted, "the counter of its instructions does not move");

        // What comes before is our own code's compilation.
        SampleRecord[] own = [.. listener.Samples.Where(sample => sample.Processor == probe.Number).TakeLast(200)];
        SampleRecord[] inLoop = [.. own.Where(sample => sample.Address == Loop && sample.Doing == (byte)tier)];
        Assert.True(inLoop.Length > own.Length / 2, $"{inLoop.Length} of {own.Length}: {string.Join(' ', own.Select(sample => $"{sample.Address:x}/{sample.Doing}").Distinct())}");
        Assert.All(inLoop, sample => Assert.Equal(3, sample.Cpl));

        // A processor that leaves the guest's code before it has answered tells no page.
        Assert.All(inLoop, sample => Assert.True(sample.Frame is Code >> 12 or SampleRecord.NoFrame));
        Assert.True(inLoop.Count(sample => sample.Frame == Code >> 12) > inLoop.Length / 2);
        Assert.True(listener.Pages.TryGetValue(Code >> 12, out byte[]? page), "the page was not shown");
        Assert.Equal(new ReadOnlySpan<byte>(_platform.Memory + Code, 32).ToArray(), page[..32]);
        Assert.Contains(listener.Names, known => known == (probe.Number, $"test of {name}"));

        // What it counted stays when it has gone.
        CounterTotals after = ProcessorRegistry.Totals(fresh: true);
        Assert.True(Instructions(after, tier) > Instructions(before, tier) + 1000);
    }

    [Fact]
    public void NobodyIsSampledWithoutAListener()
    {
        _platform.Assemble(Code, a =>
        {
            a.mov(ecx, 100_000);
            Iced.Intel.Label loop = a.CreateLabel();
            a.Label(ref loop);
            a.dec(ecx);
            a.jne(loop);
            a.@int(0x80);
        });
        _platform.Cpu->Eip = Code;
        using Engine engine = EngineUnderTest.Create("optimized", _platform);
        _platform.Cpu->SampledAddress = 0x1234;
        engine.Run(_platform.Cpu);
        Assert.Equal((0x1234u, 0), (_platform.Cpu->SampledAddress, _platform.Cpu->SampleWanted));
    }

    [Fact]
    public void ATranslationIsListedByInstruction()
    {
        _platform.Assemble(Code, a =>
        {
            a.mov(eax, __dword_ptr[0x20000]);
            a.add(eax, 5);
            a.@int(0x80);
        });
        _platform.Cpu->Eip = Code;
        using Engine engine = EngineUnderTest.Create("optimized", _platform);
        Assert.Null(engine.List(Code)); // not executed yet: its page is not known to be code
        engine.Run(_platform.Cpu);
        BlockListing listing = engine.List(Code)!;
        Assert.StartsWith("optimised region of 00010000: 1 blocks, ", listing.Title, StringComparison.Ordinal);
        Assert.EndsWith("an optimised region runs here", listing.Title, StringComparison.Ordinal);
        Assert.Equal("entry", listing.Rows[0].Guest);
        Assert.Equal("mov eax,[20000h]", listing.Rows[1].Guest);
        Assert.Equal("add eax,5", listing.Rows[2].Guest);
        Assert.Equal("exits", listing.Rows[^1].Guest);
        Assert.Contains(listing.Rows[1].Il, il => il.StartsWith("ldind", StringComparison.Ordinal));
        Assert.Contains("ldc.i4.5", listing.Rows[2].Il);
        Assert.Contains("ret", listing.Rows.SelectMany(row => row.Il));
        Assert.Contains(listing.Host, line => line.EndsWith("  ret", StringComparison.Ordinal));
        Assert.StartsWith("0000  ", listing.Host[0], StringComparison.Ordinal);

        // What runs is as it was.
        _platform.Cpu->Eip = Code;
        engine.Run(_platform.Cpu);
        Assert.Null(engine.List(0x3F0000));
    }

    private static string Name(ProcessorActivity tier) => tier switch { ProcessorActivity.Interpreting => "interpreted", ProcessorActivity.Quick => "quick", _ => "optimised" };

    private static ulong Instructions(CounterTotals totals, ProcessorActivity tier) => tier switch
    {
        ProcessorActivity.Interpreting => totals.Engines.InterpretedInstructions,
        ProcessorActivity.Quick => totals.Engines.QuickInstructions,
        _ => totals.Engines.OptimizedInstructions,
    };

    /// <summary>A session in the process itself.</summary>
    private sealed class Listener : EventListener
    {
        public ConcurrentQueue<SampleRecord> Samples { get; } = new();

        public ConcurrentDictionary<uint, byte[]> Pages { get; } = new();

        public ConcurrentBag<(int, string)> Names { get; } = [];

        public ConcurrentDictionary<string, double> Counters { get; } = new();

        public Listener() => EnableEvents(DbtEventSource.Log, EventLevel.Informational, EventKeywords.All, new Dictionary<string, string?>
        {
            [DbtEventSource.SampleRateArgument] = "1000",
            ["EventCounterIntervalSec"] = "1",
        });

        protected override void OnEventWritten(EventWrittenEventArgs data)
        {
            switch (data.EventName)
            {
                case nameof(DbtEventSource.Samples):
                    foreach (SampleRecord record in MemoryMarshal.Cast<byte, SampleRecord>((byte[])data.Payload![1]!))
                    {
                        Samples.Enqueue(record);
                    }

                    break;
                case nameof(DbtEventSource.Page):
                    Pages[(uint)(long)data.Payload![0]!] = (byte[])data.Payload[1]!;
                    break;
                case nameof(DbtEventSource.Processor):
                    Names.Add(((int)data.Payload![0]!, (string)data.Payload[1]!));
                    break;
                case "EventCounters":
                    var counter = (IDictionary<string, object>)data.Payload![0]!;
                    object value = counter.TryGetValue("Increment", out object? increment) ? increment : counter["Mean"];
                    double number = Convert.ToDouble(value, CultureInfo.InvariantCulture);
                    Counters.AddOrUpdate((string)counter["Name"], number, (_, old) => Math.Max(old, number));
                    break;
            }
        }
    }
}
