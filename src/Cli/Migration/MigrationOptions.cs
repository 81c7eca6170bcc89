namespace Dbt.Cli.Migration;

/// <summary>How a migration goes.</summary>
internal sealed record MigrationOptions
{
    /// <summary>Version of the protocol.</summary>
    public const uint Version = 2;

    /// <summary>The guest is held when what is left takes no longer than this at the measured rate.</summary>
    public TimeSpan DowntimeGoal { get; init; } = TimeSpan.FromMilliseconds(5);

    /// <summary>Rounds after which it is held whatever is left.</summary>
    public int MostRounds { get; init; } = 30;

    /// <summary>Rounds in a row that may leave hardly less than the one before.</summary>
    public int MostIdleRounds { get; init; } = 4;

    /// <summary>How long the guest may be held before it is decided whose it is; beyond, it goes on here and the migration has failed.</summary>
    public TimeSpan HoldLimit { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a guest has to suspend itself, where it is to go so.</summary>
    public TimeSpan SuspendPatience { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How long the connection may be idle for that.</summary>
    public TimeSpan SuspendLimit => SuspendPatience + TimeSpan.FromSeconds(10);

    /// <summary>How long an answer may take while the guest runs.</summary>
    public TimeSpan AnswerLimit { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// How long nobody is told that the guest is there: who shows that, and ends, takes the processors of a host on which the guest may be still, while it makes up for what it missed.
    /// </summary>
    public TimeSpan Rest { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>First and longest wait between two questions whose the guest is.</summary>
    public (TimeSpan First, TimeSpan Longest) AskAgain { get; init; } = (TimeSpan.FromMilliseconds(50), TimeSpan.FromSeconds(5));
}
