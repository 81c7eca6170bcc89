using Dbt.Translator.State;

namespace Dbt.Translator.Diagnostics;

/// <summary>A virtual processor of this process, for whoever counts and samples. Disposed by its owner before its state goes.</summary>
/// <param name="name">What a person calls it.</param>
/// <param name="cpu">Its state.</param>
/// <param name="engine">What runs it.</param>
/// <param name="surroundings">Adds what is counted outside the engine; any thread. Null for nothing.</param>
public sealed unsafe class ProcessorProbe(string name, CpuState* cpu, Engine engine, Action<CounterTotals>? surroundings) : IDisposable
{
    private ulong _quick, _optimized;
    private ProcessorActivity _asked;
    private bool _pending;
    private uint _weight;

    /// <summary>What a person calls it.</summary>
    public string Name => name;

    /// <summary>Unique in this process.</summary>
    public int Number { get; internal set; }

    /// <summary>Adds its counters; any thread, until it is disposed.</summary>
    public void AddTo(CounterTotals totals)
    {
        totals.Add(engine.Statistics);
        surroundings?.Invoke(totals);
    }

    /// <inheritdoc/>
    public void Dispose() => ProcessorRegistry.Remove(this);

    /// <summary>
    /// Takes a sample. A processor outside guest code is where its state says; one in guest code is asked, and its answer is taken at a
    /// later call. Until it has answered, time counts for what it was asked about.
    /// </summary>
    /// <param name="elapsed">Microseconds since the last call, for which this one stands.</param>
    /// <param name="take">Gets samples: none, one or two.</param>
    internal void Sample(uint elapsed, Action<ProcessorProbe, Sample> take)
    {
        int word = cpu->Doing;
        var doing = (ProcessorActivity)(word & 0xFF);
        bool inGuest = doing is ProcessorActivity.Interpreting or ProcessorActivity.Translated;
        if (_pending && !Finish(inGuest, take))
        {
            _weight += elapsed;
            cpu->Attention = 1;
            return;
        }

        if (inGuest)
        {
            _pending = true;
            _asked = doing;
            _weight = elapsed;
            cpu->SampleWanted = 1;
            cpu->Attention = 1;
        }
        else
        {
            take(this, new Sample(doing, (word >> 8) & 0xFF, elapsed, cpu->Eip, cpu->Cr3, cpu->Cpl, Page: 0));
        }
    }

    /// <summary>Nobody samples any more.</summary>
    internal void Abandon()
    {
        _pending = false;
        cpu->SampleWanted = 0;
    }

    /// <summary>The number of the machine frame at a host address.</summary>
    internal uint FrameOf(nint page) => (uint)((ulong)(page - (nint)cpu->MemoryBase) >> 12);

    private bool Finish(bool inGuest, Action<ProcessorProbe, Sample> take)
    {
        bool answered = cpu->SampleWanted == 0;
        if (!answered && inGuest)
        {
            return false;
        }

        _pending = false;
        cpu->SampleWanted = 0;
        ProcessorActivity tier = TierOf(_asked);
        take(this, answered
            ? new Sample(tier, 0, _weight, cpu->SampledAddress, cpu->SampledCr3, cpu->SampledCpl, cpu->SampledPage)
            : new Sample(tier, 0, _weight, cpu->Eip, cpu->Cr3, cpu->Cpl, Page: 0));
        return true;
    }

    // Translations of both tiers go on to one another; the one that retired more since the last look is meant.
    private ProcessorActivity TierOf(ProcessorActivity asked)
    {
        ulong quick = cpu->RetiredQuick, optimized = cpu->RetiredOptimized;
        bool isQuick = quick - _quick > optimized - _optimized;
        (_quick, _optimized) = (quick, optimized);
        return asked != ProcessorActivity.Translated ? asked : isQuick ? ProcessorActivity.Quick : ProcessorActivity.Optimised;
    }
}

/// <summary>What a processor did at a moment.</summary>
/// <param name="Doing">What.</param>
/// <param name="Detail">A hypercall's number.</param>
/// <param name="Weight">Microseconds that it stands for.</param>
/// <param name="Address">Linear address of the guest's instruction.</param>
/// <param name="Cr3">The address space.</param>
/// <param name="Cpl">Privilege level.</param>
/// <param name="Page">Host address of the code's page, 0 for unknown.</param>
internal readonly record struct Sample(ProcessorActivity Doing, int Detail, uint Weight, uint Address, uint Cr3, int Cpl, nint Page);
