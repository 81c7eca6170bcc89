using System.CommandLine;

namespace Dbt.Cli.Commands;

/// <summary>Options that stand before or after any command, as xl has them.</summary>
internal sealed class GlobalOptions
{
    /// <summary>-v.</summary>
    public Option<bool> Verbose { get; } = new("-v", "--verbose") { Description = "Say more, on standard error.", Recursive = true };

    /// <summary>-N.</summary>
    public Option<bool> DryRun { get; } = new("-N", "--dry-run") { Description = "Check everything, run nothing.", Recursive = true };
}
