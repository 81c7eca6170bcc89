namespace Dbt.Cli.Running;

/// <summary>
/// How long a guest waits for its next life: not at all, unless it crashes soon after its start again and again. Then each life would be another crash report,
/// another boot, and nothing else.
/// </summary>
internal sealed class RestartDelay
{
    /// <summary>A life that is shorter than this and ends by a crash counts.</summary>
    public static readonly TimeSpan Short = TimeSpan.FromSeconds(60);

    /// <summary>The longest wait.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);

    private int _crashes;

    /// <summary>A life ended, and another is to follow.</summary>
    /// <param name="lived">How long it was.</param>
    /// <param name="crashed">Whether it ended by a crash or a watchdog.</param>
    /// <returns>How long to wait: nothing after the first such life, then a second, and twice as long each time.</returns>
    public TimeSpan Next(TimeSpan lived, bool crashed)
    {
        if (!crashed || lived >= Short)
        {
            _crashes = 0;
            return TimeSpan.Zero;
        }

        _crashes = Math.Min(_crashes + 1, 30);
        TimeSpan wait = _crashes < 2 ? TimeSpan.Zero : TimeSpan.FromSeconds(1L << (_crashes - 2));
        return wait < Longest ? wait : Longest;
    }
}
