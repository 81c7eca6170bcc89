namespace Dbt.Translator;

/// <summary>Counters of one engine, written as JSON by <c>--stats</c>.</summary>
public sealed class EngineStatistics
{
    /// <summary>Guest instructions retired in the interpreter, in quick blocks and in optimised regions.</summary>
    public ulong InterpretedInstructions { get; set; }

    /// <summary>Guest instructions retired in quick blocks.</summary>
    public ulong QuickInstructions { get; set; }

    /// <summary>Guest instructions retired in optimised regions.</summary>
    public ulong OptimizedInstructions { get; set; }

    /// <summary>Blocks decoded for the interpreter.</summary>
    public long BlocksDecoded { get; set; }

    /// <summary>Quick blocks compiled.</summary>
    public long BlocksCompiled { get; set; }

    /// <summary>Optimised regions compiled.</summary>
    public long RegionsCompiled { get; set; }

    /// <summary>Optimised regions taken over from the store, without compiling.</summary>
    public long RegionsTakenOver { get; set; }

    /// <summary>Milliseconds of processor time that compiling those took when it was done.</summary>
    public double CompileMillisecondsSaved { get; set; }

    /// <summary>Blocks and regions thrown away because their code was written.</summary>
    public long Invalidations { get; set; }

    /// <summary>Milliseconds of processor time spent building IL and in RyuJIT, all threads.</summary>
    public double CompileMilliseconds { get; set; }

    /// <summary>Bytes of IL emitted.</summary>
    public long IlBytes { get; set; }

    /// <summary>Links made from one translation to another.</summary>
    public long Links { get; set; }

    /// <summary>Times that the dispatcher looked for the block at EIP.</summary>
    public long LookUps { get; set; }

    /// <summary>Those of them that the table of recent blocks didn't answer.</summary>
    public long LookUpMisses { get; set; }

    /// <summary>Regions that wait for the compiler, at the moment.</summary>
    public int QueueLength { get; set; }

    /// <summary>Blocks known, at the moment.</summary>
    public int CachedBlocks { get; set; }

    /// <summary>Translations that may run, at the moment.</summary>
    public int CachedTranslations { get; set; }

    /// <summary>Length of their IL, at the moment.</summary>
    public long CachedIlBytes { get; set; }

    /// <summary>Exits from translated code that one interpreted instruction followed, by reason.</summary>
    public Dictionary<string, long> SideExits { get; } = [];
}
