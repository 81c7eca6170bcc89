using System.Runtime.InteropServices;
using Dbt.Translator;
using Dbt.Translator.State;
using static Dbt.Tests.Translator.Oracle.OracleLayout;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>One engine as an executor of test vectors. Belongs to one thread.</summary>
internal sealed unsafe class GuestProcessor : IDisposable
{
    private readonly OraclePlatform _platform = new();
    private readonly Engine _engine;
    private readonly Timer _watchdog;
    private long _sequence, _watched;

    /// <param name="name">What reports call the engine.</param>
    /// <param name="options">Which engine.</param>
    /// <param name="repeats">Runs of each vector; the last one counts. More than one makes code hot.</param>
    public GuestProcessor(string name, EngineOptions options, int repeats = 1)
    {
        Name = name;
        Repeats = repeats;
        _engine = EngineFactory.Create(options, _platform, _platform.Cpu);
        _watchdog = new Timer(_ => Watch(), null, 2000, 2000);
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
    public Outcome Run(byte[] background, TestVector vector)
    {
        byte[] code = vector.Bytes;
        Prepare(background, vector, code, first: true);
        for (int i = 1; ; i++)
        {
            Interlocked.Increment(ref _sequence);
            _platform.Begin();
            _engine.Run(_platform.Cpu);
            Interlocked.Increment(ref _sequence);
            if (i == Repeats)
            {
                return Read(background);
            }

            Prepare(background, vector, code, first: false);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _watchdog.Dispose();
        _engine.Dispose();
        _platform.Dispose();
    }

    private void Prepare(byte[] background, TestVector vector, byte[] code, bool first)
    {
        // Contents as they must be; where they already are, nothing is written, so that translations of a hot vector survive.
        Span<byte> wanted = stackalloc byte[4096];
        for (int page = 0; page < Pages.Length; page++)
        {
            background.AsSpan(page * 4096, 4096).CopyTo(wanted);
            int from = CodeOffset + vector.CodeStart - (page * 4096);
            for (int i = Math.Max(0, -from); i < code.Length && from + i < 4096; i++)
            {
                wanted[from + i] = code[i];
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
        _platform.Load(SegmentIndex.Cs, 0x23);
        _platform.Load(SegmentIndex.Ss, 0x2B);
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
        var outcome = new Outcome
        {
            Eflags = cpu->Eflags,
            Eip = cpu->Eip,
            Vector = _platform.Ended ?? HarnessProgram.TimedOut,
            Error = _platform.Error,
            Cr2 = _platform.Cr2,
            Unusable = _platform.TouchedHarness,
            Memory = Changes(background),
        };
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
        var changes = new List<(int, uint)>();
        for (int i = 0; ;)
        {
            i += after[i..].CommonPrefixLength(before[i..]);
            if (i >= after.Length)
            {
                return [.. changes];
            }

            changes.Add((i * 4, after[i]));
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
