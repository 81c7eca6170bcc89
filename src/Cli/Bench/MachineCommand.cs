namespace Dbt.Cli.Bench;

/// <summary>How a machine of the benchmark is started: a process that speaks the agent's protocol on its standard input and output.</summary>
/// <param name="Name">As --against and the tables have it.</param>
/// <param name="Program">What to start.</param>
/// <param name="Arguments">Its arguments.</param>
/// <param name="IsNative">Whether programs run on the host itself, so that their own CPU time counts, and not the process's.</param>
internal sealed record MachineCommand(string Name, string Program, IReadOnlyList<string> Arguments, bool IsNative = false)
{
    /// <summary>Its own environment variables.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>What the native run is called.</summary>
    public const string Native = "native";

    /// <summary>What the default engine is called.</summary>
    public const string Tiered = "tiered";

    /// <summary>What the default engine is called where programs reach memory by address windows, and where they never do.</summary>
    public const string Windowed = "windowed", Checked = "checked";

    /// <summary>What QEMU is called.</summary>
    public const string Qemu = "qemu";
}
