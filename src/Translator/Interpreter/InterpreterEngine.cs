using Dbt.Translator.Diagnostics;
using Dbt.Translator.Interpretation.Threaded;
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
            _statistics.BlocksDecoded = _interpreter.BlocksDecoded;
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
        while (true)
        {
            if (cpu->Attention != 0 && cpu->InterruptShadow == 0)
            {
                SamplePoint.Visit(cpu);
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
                continue;
            }

            cpu->Doing = (int)ProcessorActivity.Interpreting;
            ThreadedBlock* found = _interpreter.FindBlock(cpu);
            Outcome outcome = found != null ? _interpreter.Execute(cpu, found)
                : Next(cpu) is { } block ? _interpreter.ExecuteBlock(cpu, block)
                : Outcome.Faulted;
            cpu->Doing = (int)ProcessorActivity.Dispatching;
            if (outcome == Outcome.Faulted)
            {
                _platform.DeliverFault(cpu);
            }
        }
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _cache.Dispose();
        _interpreter.Dispose();
    }

    // Null for a fault in the fetch.
    private DecodedBlock? Next(CpuState* cpu)
    {
        if (!_interpreter.TryFetch(cpu, out byte* host))
        {
            return null;
        }

        DecodedBlock? block = _cache.Find(host, cpu->Eip, cpu->Mode);
        if (block != null && Interpreter.InsideCodeSegment(cpu, block))
        {
            return block;
        }

        cpu->Doing = (int)ProcessorActivity.Decoding;
        if (_cache.IsFull || _interpreter.IsFull)
        {
            _cache.Clear();
            _interpreter.Forget();
        }

        _cache.Hold(host);
        if (!_interpreter.TryDecodeBlock(cpu, MaxBlockInstructions, out block))
        {
            return null;
        }

        if (!block.CrossesPage)
        {
            _cache.Add(block);
        }

        cpu->Doing = (int)ProcessorActivity.Interpreting;

        return block;
    }
}
