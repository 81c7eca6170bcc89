namespace Dbt.Cli.Migration;

/// <summary>Where a migration is.</summary>
internal enum MigrationPhase
{
    /// <summary>Connected; the target makes the domain.</summary>
    Preparing,

    /// <summary>Memory goes over, the guest runs here.</summary>
    Copying,

    /// <summary>The guest is held.</summary>
    Holding,

    /// <summary>The connection was lost at the last moment; it is found out where the guest is.</summary>
    Asking,

    /// <summary>The guest runs at the target.</summary>
    Done,
}

/// <summary>What there is to tell of a migration that is under way.</summary>
/// <param name="Phase">Where it is.</param>
/// <param name="Round">Round over memory, from 1.</param>
/// <param name="Sent">Pages sent so far, those that were zero included.</param>
/// <param name="Left">Pages left of this round.</param>
/// <param name="Bytes">Bytes sent so far.</param>
/// <param name="Rate">Bytes a second.</param>
/// <param name="Pause">For how long the guest would be held if it were now; at the end, for how long it was.</param>
/// <param name="Detail">One line; empty for none.</param>
internal sealed record MigrationProgress(MigrationPhase Phase, int Round, long Sent, long Left, long Bytes, double Rate, TimeSpan Pause, string Detail = "");
