namespace Dbt.Xen.Scheduling;

/// <summary>
/// What a domain with a cap may still use of the host's processors: an allowance a period, from which the processor time of its threads is taken.
/// What was used beyond it is taken from the periods that follow; what was left over is not kept. Times in nanoseconds.
/// </summary>
internal sealed class CapAccount
{
    /// <summary>The credit scheduler's time slice, over which Xen keeps a cap too.</summary>
    public const long Period = 30_000_000;

    private long _allowance, _used, _periodStart;

    /// <summary>Whether the domain has to wait.</summary>
    public bool IsSpent => _allowance != 0 && _used >= _allowance;

    /// <summary>Processor time that is left.</summary>
    public long Left => Math.Max(0, _allowance - _used);

    /// <summary>When there will be something again, as host time, where it <see cref="IsSpent"/>.</summary>
    public long RefilledAt => _periodStart + (_used / _allowance * Period);

    /// <summary>Sets the cap; a new period begins.</summary>
    /// <param name="cap">Per cent of one of the host's processors; 0 for none.</param>
    /// <param name="now">Host time.</param>
    public void Set(uint cap, long now) => (_allowance, _used, _periodStart) = (Period * cap / 100, 0, now);

    /// <summary>Takes processor time that was used since it was told last.</summary>
    public void Charge(long processorTime, long now)
    {
        long periods = (now - _periodStart) / Period;
        _periodStart += periods * Period;
        _used = (long)Int128.Max(0, _used + processorTime - ((Int128)_allowance * periods));
    }
}
