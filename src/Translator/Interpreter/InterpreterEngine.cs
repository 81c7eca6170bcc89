using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation;

/// <summary>The engine without translation: decoded blocks, one instruction after the other.</summary>
internal sealed unsafe class InterpreterEngine : Engine
{
    /// <summary>Instructions a block holds at most: bounds the time until Attention is seen.</summary>
    private const int MaxBlockInstructions = 64;

    private readonly Platform _platform;
    private readonly CpuState* _cpu;
    private readonly Interpreter _interpreter;
    private readonly BlockCache _cache;
    private readonly EngineStatistics _statistics = new();

    /// <summary>Makes an engine for one processor.</summary>
    public InterpreterEngine(Platform platform, CpuState* cpu, bool portableFloatingPoint = false)
    {
        _platform = platform;
        _cpu = cpu;
        _interpreter = new Interpreter(platform, portableFloatingPoint);
        _cache = new BlockCache(platform, cpu);
    }

    /// <inheritdoc/>
    public override EngineStatistics Statistics
    {
        get
        {
            _statistics.InterpretedInstructions = _cpu->RetiredInterpreted;
            _statistics.Invalidations = _cache.Invalidations;
            return _statistics;
        }
    }

    /// <inheritdoc/>
    public override void Run(CpuState* cpu)
    {
        _cache.Own();
        _cache.TakeRemoteWrites();
        DecodedBlock? previous = null;
        while (true)
        {
            if (cpu->Attention != 0 && cpu->InterruptShadow == 0)
            {
                _cache.TakeRemoteWrites();
                if (!_platform.Attend(cpu))
                {
                    return;
                }
            }

            cpu->CodeChanged = 0;
            if (cpu->InterruptShadow != 0 || (cpu->Mode & CpuMode.SingleStep) != 0)
            {
                _interpreter.Step(cpu);
                previous = null;
                continue;
            }

            DecodedBlock? block = Next(cpu, previous);
            if (block == null || _interpreter.ExecuteBlock(cpu, block) == Outcome.Faulted)
            {
                _platform.DeliverFault(cpu);
            }

            previous = block;
        }
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _cache.Dispose();
        _interpreter.Dispose();
    }

    // Null for a fault in the fetch.
    private DecodedBlock? Next(CpuState* cpu, DecodedBlock? previous)
    {
        if (!_interpreter.TryFetch(cpu, out byte* host))
        {
            return null;
        }

        if (previous != null)
        {
            DecodedBlock? successor = previous.Successor;
            if (successor != null && Matches(cpu, successor, host))
            {
                return successor;
            }

            successor = previous.OtherSuccessor;
            if (successor != null && Matches(cpu, successor, host))
            {
                return successor;
            }
        }

        DecodedBlock? block = _cache.Find(host, cpu->Eip, cpu->Mode);
        if (block == null || !Interpreter.InsideCodeSegment(cpu, block))
        {
            _cache.Hold(host);
            if (!_interpreter.TryDecodeBlock(cpu, MaxBlockInstructions, out block))
            {
                return null;
            }

            _statistics.BlocksDecoded++;
            if (block.CrossesPage)
            {
                return block;
            }

            _cache.Add(block);
        }

        // Links skip the limit check of CS, so they are made in flat segments only.
        if (previous is { Valid: true } && (cpu->Mode & CpuMode.Flat) != 0)
        {
            previous.OtherSuccessor = previous.Successor;
            previous.Successor = block;
        }

        return block;
    }

    private static bool Matches(CpuState* cpu, DecodedBlock block, byte* host) =>
        block.Host == host && block.Eip == cpu->Eip && block.Mode == cpu->Mode && block.Valid;
}
