namespace Dbt.Cli.Bench;

/// <summary>What the command line asks for.</summary>
internal sealed record BenchSettings
{
    /// <summary>--native: the guest's own programs, the 64-bit ones, none.</summary>
    public const string GuestArchitecture = "i386", HostArchitecture = "amd64", NoNative = "none";

    /// <summary>What is run.</summary>
    public required IReadOnlyList<Workload> Workloads { get; init; }

    /// <summary>--against: what is run beside the tiered engine.</summary>
    public required IReadOnlyList<string> Against { get; init; }

    /// <summary>--native: i386, another architecture's programs instead, or none.</summary>
    public required string Native { get; init; }

    /// <summary>--rounds.</summary>
    public required int Rounds { get; init; }

    /// <summary>--scale.</summary>
    public required double Scale { get; init; }

    /// <summary>--timeout: for one workload on one machine.</summary>
    public required TimeSpan Timeout { get; init; }
}
