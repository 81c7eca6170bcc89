using System.Runtime.InteropServices;
using Dbt.Translator;
using Dbt.Translator.State;
using static Dbt.Tests.Translator.Oracle.OracleLayout;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>One engine as an executor of test vectors. Belongs to one thread.</summary>
internal sealed unsafe class GuestProcessor : IDisposable
{
    private readonly OraclePlatform _platform;
    private readonly Engine _engine;
    private readonly Timer _watchdog;
    private readonly Outcome _outcome = new();
    private readonly List<(int, uint)> _changes = [];
    private long _sequence, _watched;
    private List<byte[]>? _code;
    private readonly byte[] _patched = new byte[4096];
    private byte[] _bytes = [];

    /// <param name="name">What reports call the engine.</param>
    /// <param name="options">Which engine.</param>
    /// <param name="repeats">Runs of each vector; the last one counts. More than one makes code hot.</param>
    /// <param name="platform">The surroundings, where not the ordinary ones; disposed with this.</param>
    public GuestProcessor(string name, EngineOptions options, int repeats = 1, OraclePlatform? platform = null)
    {
        _platform = platform ?? new OraclePlatform();
        Name = name;
        Repeats = repeats;
        _engine = EngineFactory.Create(options, _platform, _platform.Cpu);
        _watchdog = new Timer(_ => Watch(), null, 10_000, 10_000);
    }

    /// <summary>What reports call the engine.</summary>
    public string Name { get; }

    /// <summary>Runs of each vector.</summary>
    public int Repeats { get; }

    /// <summary>The engine's counters.</summary>
    public EngineStatistics Statistics => _engine.Statistics;

    /// <summary>Names of instructions that the engine does not have.</summary>
    public IReadOnlySet<string> Unimplemented => _platform.Unimplemented;

    /// <summary>Runs one vector over a background.</summary>
    /// <returns>Valid until the next run.</returns>
    public Outcome Run(byte[] background, TestVector vector)
    {
        // Vectors of the same code: what was decoded and translated for the one serves the others.
        bool first = !ReferenceEquals(_code, vector.Code);
        if (first)
        {
            _code = vector.Code;
            _bytes = vector.Bytes;
        }

        for (int i = 1; ; i++)
        {
            Prepare(background, vector, first && i == 1);
            Interlocked.Increment(ref _sequence);
            _platform.Begin(vector.LatePage);
            _engine.Run(_platform.Cpu);
            Interlocked.Increment(ref _sequence);
            if (i >= Repeats)
            {
                return Read(background);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _watchdog.Dispose();
        _engine.Dispose();
        _platform.Dispose();
    }

    private void Prepare(byte[] background, TestVector vector, bool first)
    {
        // Contents as they must be; where they already are, nothing is written, so that translations of a hot vector survive.
        Span<byte> patched = _patched;
        for (int page = 0; page < Pages.Length; page++)
        {
            ReadOnlySpan<byte> wanted = background.AsSpan(page * 4096, 4096);
            int from = CodeOffset + vector.CodeStart - (page * 4096);
            if (from > -_bytes.Length && from < 4096)
            {
                wanted.CopyTo(patched);
                int skipped = Math.Max(0, -from), to = Math.Max(0, from);
                _bytes.AsSpan(skipped, Math.Min(_bytes.Length - skipped, 4096 - to)).CopyTo(patched[to..]);
                wanted = patched;
            }

            var live = new Span<byte>(_platform.Memory + (page * 4096), 4096);
            if (!live.SequenceEqual(wanted))
            {
                wanted.CopyTo(live);
                _platform.CodeMap.Written(_platform.Memory + (page * 4096), 4096);
            }
            else if (first && page * 4096 >= CodeOffset)
            {
                // The same code again, from another vector: as cold as any other.
                _platform.CodeMap.Written(_platform.Memory + (page * 4096), 4096);
            }
        }

        CpuState* cpu = _platform.Cpu;
        for (int i = 0; i < 8; i++)
        {
            cpu->Gpr[i] = vector.Gpr[i];
        }

        cpu->Eip = vector.Start;
        cpu->FlagOp = 0;
        cpu->Eflags = vector.Eflags;
        cpu->InterruptShadow = 0;
        _platform.Load(SegmentIndex.Ds, vector.Selectors[0]);
        _platform.Load(SegmentIndex.Es, vector.Selectors[1]);
        _platform.Load(SegmentIndex.Fs, vector.Selectors[2]);
        _platform.Load(SegmentIndex.Gs, vector.Selectors[3]);
        _platform.Load(SegmentIndex.Cs, vector.Selectors[4]);
        _platform.Load(SegmentIndex.Ss, vector.Selectors[5]);
        fixed (FxArea* area = &Access(cpu))
        {
            var fx = new Span<byte>(area, 512);
            fx.Clear();
            if (vector.Fx is not null)
            {
                vector.Fx.CopyTo(fx);
            }
            else
            {
                (fx[0], fx[1], fx[24], fx[25]) = (0x7F, 3, 0x80, 0x1F);
            }
        }

        cpu->Attention = 0;
        cpu->RefreshMode();
    }

    private Outcome Read(byte[] background)
    {
        CpuState* cpu = _platform.Cpu;
        LazyFlags.Materialise(cpu);
        Outcome outcome = _outcome;
        outcome.Eflags = cpu->Eflags;
        outcome.Eip = cpu->Eip;
        outcome.Vector = _platform.Ended ?? HarnessProgram.TimedOut;
        outcome.Error = _platform.Error;
        outcome.Cr2 = _platform.Cr2;
        outcome.Unusable = _platform.TouchedHarness;
        outcome.Memory = Changes(background);
        SegmentIndex[] order = [SegmentIndex.Gs, SegmentIndex.Fs, SegmentIndex.Es, SegmentIndex.Ds, SegmentIndex.Cs, SegmentIndex.Ss];
        for (int i = 0; i < order.Length; i++)
        {
            outcome.Selectors[i] = cpu->Segments[order[i]].Selector;
        }

        for (int i = 0; i < 8; i++)
        {
            outcome.Gpr[i] = cpu->Gpr[i];
        }

        fixed (FxArea* area = &Access(cpu))
        {
            new Span<byte>(area, 512).CopyTo(outcome.Fx);
        }

        return outcome;
    }

    private (int Offset, uint Value)[] Changes(byte[] background)
    {
        var before = MemoryMarshal.Cast<byte, uint>(background.AsSpan());
        var after = new ReadOnlySpan<uint>(_platform.Memory, LiveBytes / 4);
        _changes.Clear();
        for (int i = 0; ;)
        {
            i += after[i..].CommonPrefixLength(before[i..]);
            if (i >= after.Length)
            {
                return [.. _changes];
            }

            _changes.Add((i * 4, after[i]));
            i++;
        }
    }

    private static ref FxArea Access(CpuState* cpu) => ref cpu->Fx;

    // An odd sequence number that stays over a whole period is a run that does not end.
    private void Watch()
    {
        long now = Interlocked.Read(ref _sequence);
        if ((now & 1) != 0 && now == Interlocked.Exchange(ref _watched, now))
        {
            _platform.GiveUp = true;
            CpuState* cpu = _platform.Cpu;
            if (cpu is not null)
            {
                cpu->Attention = 1;
            }
        }
    }
}
