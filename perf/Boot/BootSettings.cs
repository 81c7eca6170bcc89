namespace Dbt.Perf.Boot;

/// <summary>What is booted, on what, and how often.</summary>
internal sealed record BootSettings
{
    /// <summary>The kernel, packed or not.</summary>
    public required string Kernel { get; init; }

    /// <summary>The initial RAM disk.</summary>
    public required string Ramdisk { get; init; }

    /// <summary>The kernel's parameters but for the console.</summary>
    public required string CommandLine { get; init; }

    /// <summary>Our engines, by the command's names.</summary>
    public required IReadOnlyList<string> Engines { get; init; }

    /// <summary>Whether our engines also take the kernel packed as it is, and unpack it each time.</summary>
    public required bool Packed { get; init; }

    /// <summary>Boots before those that are measured with what these left in the cache; 0: no such row.</summary>
    public required int WarmUps { get; init; }

    /// <summary>The command.</summary>
    public required string Dbt { get; init; }

    /// <summary>Memory.</summary>
    public required int MemoryMiB { get; init; }

    /// <summary>Boots of each.</summary>
    public required int Rounds { get; init; }

    /// <summary>What the console shows last when the shell waits.</summary>
    public required string Prompt { get; init; }

    /// <summary>When a boot has failed.</summary>
    public required TimeSpan Limit { get; init; }
}
