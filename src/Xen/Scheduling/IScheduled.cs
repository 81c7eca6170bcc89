namespace Dbt.Xen.Scheduling;

/// <summary>A virtual processor as its scheduler sees it.</summary>
internal interface IScheduled
{
    /// <summary>The host's processor time that its thread has taken, in nanoseconds.</summary>
    long ProcessorTime { get; }

    /// <summary>Whether it executes guest code, or would if it didn't rest.</summary>
    bool WantsToRun { get; }

    /// <summary>Has it wait at its next safe point, or go on.</summary>
    void SetResting(bool rests);
}
