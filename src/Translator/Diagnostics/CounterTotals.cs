namespace Dbt.Translator.Diagnostics;

/// <summary>The counters of several processors added up.</summary>
public sealed class CounterTotals
{
    /// <summary>Their engines'.</summary>
    public EngineStatistics Engines { get; } = new();

    /// <summary>Hypercalls by name.</summary>
    public Dictionary<string, long> Hypercalls { get; } = [];

    /// <summary>Upcalls and interrupts taken.</summary>
    public long Upcalls { get; set; }

    /// <summary>Time in which they waited for an event.</summary>
    public long IdleNanoseconds { get; set; }

    /// <summary>Time in which they were online, waits included.</summary>
    public long OnlineNanoseconds { get; set; }

    /// <summary>Adds an engine's counters.</summary>
    public void Add(EngineStatistics engine)
    {
        EngineStatistics sum = Engines;
        sum.InterpretedInstructions += engine.InterpretedInstructions;
        sum.QuickInstructions += engine.QuickInstructions;
        sum.OptimizedInstructions += engine.OptimizedInstructions;
        sum.BlocksDecoded += engine.BlocksDecoded;
        sum.BlocksCompiled += engine.BlocksCompiled;
        sum.RegionsCompiled += engine.RegionsCompiled;
        sum.RegionsTakenOver += engine.RegionsTakenOver;
        sum.CompileMillisecondsSaved += engine.CompileMillisecondsSaved;
        sum.Invalidations += engine.Invalidations;
        sum.CompileMilliseconds += engine.CompileMilliseconds;
        sum.IlBytes += engine.IlBytes;
        sum.Links += engine.Links;
        sum.LookUps += engine.LookUps;
        sum.LookUpMisses += engine.LookUpMisses;
        sum.QueueLength += engine.QueueLength;
        sum.CachedBlocks += engine.CachedBlocks;
        sum.CachedTranslations += engine.CachedTranslations;
        sum.CachedIlBytes += engine.CachedIlBytes;
        foreach ((string reason, long count) in engine.SideExits)
        {
            sum.SideExits[reason] = sum.SideExits.GetValueOrDefault(reason) + count;
        }
    }

    /// <summary>Adds what has accumulated elsewhere.</summary>
    public void Add(CounterTotals other)
    {
        Add(other.Engines);
        foreach ((string name, long count) in other.Hypercalls)
        {
            Hypercalls[name] = Hypercalls.GetValueOrDefault(name) + count;
        }

        Upcalls += other.Upcalls;
        IdleNanoseconds += other.IdleNanoseconds;
        OnlineNanoseconds += other.OnlineNanoseconds;
    }

    /// <summary>Takes away what is true of the moment only: the processors have gone, what they counted stays.</summary>
    public void ForgetMoment()
    {
        Engines.QueueLength = 0;
        Engines.CachedBlocks = 0;
        Engines.CachedTranslations = 0;
        Engines.CachedIlBytes = 0;
    }

    /// <summary>Side exits for a reason; <c>untranslated</c> for those of all instructions together.</summary>
    public long SideExits(string reason) => reason == "untranslated"
        ? Engines.SideExits.Where(pair => pair.Key.StartsWith("untranslated:", StringComparison.Ordinal)).Sum(pair => pair.Value)
        : Engines.SideExits.GetValueOrDefault(reason);
}
