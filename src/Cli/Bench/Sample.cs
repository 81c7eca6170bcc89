namespace Dbt.Cli.Bench;

/// <summary>One run of a workload on a machine.</summary>
/// <param name="Wall">Seconds between its markers, by the host's clock.</param>
/// <param name="Cpu">Seconds of CPU meanwhile: the programs' own natively, elsewhere the whole hypervisor's.</param>
/// <param name="Checksum">SHA-256 of its output.</param>
internal sealed record Sample(double Wall, double Cpu, string Checksum)
{
    /// <summary>Why there is none; null where there is one.</summary>
    public string? Failure { get; init; }

    /// <summary>A run that came to nothing.</summary>
    public static Sample Failed(string why) => new(0, 0, "") { Failure = why };
}
