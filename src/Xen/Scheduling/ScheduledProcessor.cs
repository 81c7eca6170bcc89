namespace Dbt.Xen.Scheduling;

/// <summary>A virtual processor in its scheduler's books.</summary>
/// <param name="Processor">The processor.</param>
/// <param name="Share">Its domain's share.</param>
internal sealed record ScheduledProcessor(IScheduled Processor, CpuShare Share)
{
    // More of either would be paid back long after it was earned.
    private const long MostCredit = 100_000_000;

    private long _taken, _credit;

    /// <summary>Nanoseconds of processor time that it is behind its share; negative where it is ahead.</summary>
    public long Credit
    {
        get => _credit;
        set => _credit = Math.Clamp(value, -MostCredit, MostCredit);
    }

    /// <summary>Processor time that it took between the last two looks.</summary>
    public long Used { get; private set; }

    /// <summary>Whether it was seen to run, so that it has to be looked at.</summary>
    public bool IsActive { get; set; }

    /// <summary>Whether it was told to wait.</summary>
    public bool Rests { get; private set; }

    /// <summary>Its share is kept from now on, or no longer: what was before doesn't count.</summary>
    public void Begin()
    {
        _taken = Processor.ProcessorTime;
        IsActive = false;
        Rest(false);
    }

    /// <summary>Takes what it has used since the last look.</summary>
    public void Measure()
    {
        long now = Processor.ProcessorTime;
        Used = Math.Max(0, now - _taken);
        _taken = now;
    }

    /// <summary>Has it wait or go on.</summary>
    public void Rest(bool rests)
    {
        if (Rests != rests)
        {
            Rests = rests;
            Processor.SetResting(rests);
        }
    }
}
