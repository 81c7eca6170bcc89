namespace Dbt.Translator.Cache;

/// <summary>Which tiers an engine has, and when a block moves up.</summary>
/// <param name="FirstThreshold">Executions in the interpreter before the first translation; int.MaxValue for never.</param>
/// <param name="EarlyThreshold">The same where compilation has taken little of the time so far; <paramref name="FirstThreshold"/> for never.</param>
/// <param name="CompileShare">What is little: per cent.</param>
/// <param name="Quick">Whether the first translation is a quick block; otherwise it is an optimised region.</param>
/// <param name="OptimizeThreshold">Executions of a quick block before its region is optimised; 0 for never.</param>
/// <param name="MaxRegionInstructions">Guest instructions in a region at most.</param>
/// <param name="Background">Whether regions are compiled on a thread of their own.</param>
/// <param name="Link">Whether translations go on to one another without the dispatcher.</param>
/// <param name="RewritesUntilCool">Times that a frame's code is overwritten before it is only interpreted for a while.</param>
/// <param name="PortableFloatingPoint">Whether x87, MMX and SSE are computed in C#.</param>
/// <param name="Store">Where compiled regions are shared; null for not at all.</param>
/// <param name="PauseThreshold">Executions in the interpreter before a region is optimised while the guest is idle.</param>
internal sealed record TierPolicy(int FirstThreshold, int EarlyThreshold, int CompileShare, bool Quick, int OptimizeThreshold, int MaxRegionInstructions, bool Background, bool Link, int RewritesUntilCool,
    bool PortableFloatingPoint, CodeStore? Store = null, int PauseThreshold = int.MaxValue)
{
    /// <summary>When programs reach memory by an address window.</summary>
    public WindowUse Windows { get; init; }

    /// <summary>The policy of an engine.</summary>
    public static TierPolicy Of(EngineOptions options)
    {
        (int first, bool quick, int optimize) = options.Kind switch
        {
            EngineKind.Interpreter => (int.MaxValue, true, 0),
            EngineKind.Quick => (options.WarmUp, true, 0),
            EngineKind.Optimized => (options.WarmUp, false, 0),
            _ when options.QuickThreshold == int.MaxValue => (options.RegionThreshold, false, 0),
            _ => (options.QuickThreshold, true, options.OptimizeThreshold),
        };
        bool background = options.Kind == EngineKind.Tiered && options.BackgroundCompile;
        int early = options.Kind == EngineKind.Tiered && !quick && first != int.MaxValue ? Math.Min(options.EarlyRegionThreshold, first) : first;
        return new TierPolicy(first, early, options.CompileShare, quick, optimize, options.MaxRegionInstructions, background, options.LinkBlocks, options.RewritesUntilCool,
            options.PortableFloatingPoint, quick && optimize == 0 ? null : options.Store, options.PauseThreshold)
        {
            Windows = quick ? WindowUse.Never : options.Windows,
        };
    }
}
