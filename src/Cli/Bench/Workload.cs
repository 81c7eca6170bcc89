namespace Dbt.Cli.Bench;

/// <summary>What a workload's time is spent on.</summary>
internal enum WorkloadKind
{
    /// <summary>A program's own computation in user mode.</summary>
    Compute,

    /// <summary>The kernel: system calls, processes, page faults.</summary>
    System,
}

/// <summary>One program of the benchmark, the same natively and in guests.</summary>
/// <param name="Name">What the user calls it.</param>
/// <param name="Kind">What its time is spent on.</param>
/// <param name="Packages">Debian packages that it needs, with spaces between.</param>
/// <param name="Amount">$N of the script where --scale is 1: natively some 0.7 to 1.1 seconds, see docs/PERFORMANCE.md.</param>
/// <param name="Script">Shell script. It stands in an empty folder in memory, reads <see cref="BenchInputs"/> from $IN, and its standard output must be the same everywhere.</param>
internal sealed record Workload(string Name, WorkloadKind Kind, string Packages, int Amount, string Script)
{
    /// <summary>What is done before, outside of the measured time; null for nothing.</summary>
    public string? Preparation { get; init; }

    /// <summary>
    /// Whether its output has last digits of the processor's own: x87 functions (F2XM1, FYL2X) that no manual says to the last bit. QEMU has its own, so its output is nobody's measure.
    /// </summary>
    public bool HasOwnDigits { get; init; }

    /// <summary>$N at a scale, at least 1.</summary>
    public long ScaledAmount(double scale) => Math.Max(1, (long)Math.Round(Amount * scale));
}
