namespace Dbt.Xen.Scheduling;

/// <summary>How much of the host's processors a domain gets (xl.cfg's cpu_weight and cap). Any thread.</summary>
public sealed class CpuShare
{
    /// <summary>Weight of a domain whose configuration doesn't say.</summary>
    public const int DefaultWeight = 256;

    /// <summary>Highest weight; the lowest is 1.</summary>
    public const int MostWeight = 65535;

    /// <summary>Highest cap for each virtual processor: all of one of the host's.</summary>
    public const int MostCapPerProcessor = 100;

    private readonly CreditScheduler _scheduler;

    internal CpuShare(CreditScheduler scheduler) => _scheduler = scheduler;

    /// <summary>What a processor of it gets where all are busy, in proportion to those of other domains.</summary>
    public int Weight { get; private set; } = DefaultWeight;

    /// <summary>What all its processors get together at the most, in per cent of one of the host's; 0 for no limit.</summary>
    public int Cap { get; private set; }

    /// <summary>Whether its processors tell the scheduler when they run: it has a cap, or not all domains have the same weight.</summary>
    internal bool IsKept => _isKept;

    private volatile bool _isKept;

    internal CapAccount Account { get; } = new();

    internal List<ScheduledProcessor> Processors { get; } = [];

    /// <summary>Changes both; what is out of range is the caller's mistake.</summary>
    /// <param name="weight">1 to <see cref="MostWeight"/>.</param>
    /// <param name="cap">0 to 100 for each virtual processor.</param>
    public void Set(int weight, int cap)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(weight, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(weight, MostWeight);
        ArgumentOutOfRangeException.ThrowIfNegative(cap);
        _scheduler.Change(this, () => (Weight, Cap) = (weight, cap));
    }

    /// <summary>One of the domain's processors is there.</summary>
    internal void Add(IScheduled processor) => _scheduler.Change(this, () => Processors.Add(new ScheduledProcessor(processor, this)));

    /// <summary>One of its processors runs from now on, or doesn't any more.</summary>
    internal void Changed()
    {
        if (IsKept)
        {
            _scheduler.Look();
        }
    }

    /// <summary>By the scheduler, under its lock.</summary>
    internal void Keep(bool keep)
    {
        if (_isKept == keep)
        {
            return;
        }

        _isKept = keep;
        foreach (ScheduledProcessor processor in Processors)
        {
            processor.Begin();
        }
    }
}
