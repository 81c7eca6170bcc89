namespace Dbt.Perf.Fuzz;

/// <summary>Tells when a case takes longer than anything that ends by itself would, which a case's own code cannot be relied on to notice.</summary>
internal sealed class FuzzWatchdog : IDisposable
{
    private readonly TimeSpan _limit;
    private readonly Action _expired;
    private readonly Timer _timer;

    /// <param name="limit">The longest that a case may take.</param>
    /// <param name="expired">What is done then, on another thread.</param>
    public FuzzWatchdog(TimeSpan limit, Action expired)
    {
        (_limit, _expired) = (limit, expired);
        _timer = new Timer(_ => _expired());
    }

    /// <summary>A case begins.</summary>
    public void Begin() => _timer.Change(_limit, Timeout.InfiniteTimeSpan);

    /// <summary>It has ended.</summary>
    public void End() => _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();
}
