using Dbt.Translator;

namespace Dbt.Tests.Translator;

/// <summary>The engines that the tests run, with thresholds low enough that the tiers are reached.</summary>
internal static unsafe class EngineUnderTest
{
    /// <summary>Names for <see cref="Create"/>.</summary>
    public static string[] Names => ["tiered-interpreting", "quick", "optimized", "tiered", "tiered-background", "tiered-direct", "tiered-direct-background", "optimized-unlinked", "windowed"];

    /// <summary>Makes an engine on a platform's processor.</summary>
    public static Engine Create(string name, TestPlatform platform) => EngineFactory.Create(Options(name), platform, platform.Cpu);

    /// <summary>The options that a name stands for.</summary>
    public static EngineOptions Options(string name) => name switch
    {
        "interpreter" => new EngineOptions { Kind = EngineKind.Interpreter },
        "tiered-interpreting" => new EngineOptions { Kind = EngineKind.Tiered, RegionThreshold = int.MaxValue },
        "quick" => new EngineOptions { Kind = EngineKind.Quick, WarmUp = 0 },
        "optimized" => new EngineOptions { Kind = EngineKind.Optimized, WarmUp = 0 },
        "windowed" => new EngineOptions { Kind = EngineKind.Optimized, WarmUp = 0, Windows = WindowUse.Always },
        "optimized-unlinked" => new EngineOptions { Kind = EngineKind.Optimized, WarmUp = 0, LinkBlocks = false },
        "tiered" => new EngineOptions { Kind = EngineKind.Tiered, QuickThreshold = 2, OptimizeThreshold = 5, BackgroundCompile = false },
        "tiered-direct" => new EngineOptions { Kind = EngineKind.Tiered, RegionThreshold = 3, BackgroundCompile = false },
        "tiered-direct-background" => new EngineOptions { Kind = EngineKind.Tiered, RegionThreshold = 3 },
        "tiered-background" => new EngineOptions { Kind = EngineKind.Tiered, QuickThreshold = 2, OptimizeThreshold = 5 },
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, null),
    };
}
