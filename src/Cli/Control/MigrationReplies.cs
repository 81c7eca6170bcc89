using Dbt.Cli.Api;
using Dbt.Cli.Migration;

namespace Dbt.Cli.Control;

/// <summary>A migration's progress as the contract has it.</summary>
internal static class MigrationReplies
{
    /// <summary>How far it is.</summary>
    public static MigrateProgress Of(MigrationProgress progress) => new()
    {
        Phase = (MigrateProgress.Types.Phase)progress.Phase,
        Round = (uint)progress.Round,
        PagesSent = (ulong)progress.Sent,
        PagesLeft = (ulong)progress.Left,
        Bytes = (ulong)progress.Bytes,
        BytesPerSecond = progress.Rate,
        PauseMilliseconds = progress.Pause.TotalMilliseconds,
        Detail = progress.Detail,
    };

    /// <summary>What the pause was made of.</summary>
    public static MigrateProgress Done(IReadOnlyList<(string What, TimeSpan Took)> parts, TimeSpan held) => new()
    {
        Phase = MigrateProgress.Types.Phase.Done,
        PauseMilliseconds = held.TotalMilliseconds,
        Parts = { parts.Select(static part => new MigrateProgress.Types.Part { What = part.What, Milliseconds = part.Took.TotalMilliseconds }) },
    };
}
