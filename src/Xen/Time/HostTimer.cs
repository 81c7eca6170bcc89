using Dbt.Runtime.HostTime;

namespace Dbt.Xen.Time;

/// <summary>
/// A one-shot timer of <see cref="HostTimers"/>; its action must be short. It runs on the timers' thread, or on that of a processor that
/// waits and has the timer to itself meanwhile.
/// </summary>
internal sealed class HostTimer(HostTimers owner, Action fired)
{
    internal Action Fired { get; } = fired;

    /// <summary>Host time (see <see cref="HostClock"/>) at which it fires; <see cref="long.MaxValue"/> where it is off.</summary>
    internal long Deadline = long.MaxValue;

    internal bool Listed;

    /// <summary>Who waits for it besides the timers' thread.</summary>
    internal HostEvent? Keeper;

    /// <summary>Sets it, replacing what was set before.</summary>
    public void Set(long hostDeadline) => owner.Set(this, hostDeadline);

    /// <summary>Turns it off. An action that has begun still ends.</summary>
    public void Cancel() => owner.Set(this, long.MaxValue);

    /// <summary>
    /// A thread is going to wait on <paramref name="keeper"/>, and will look at this timer itself (<see cref="TakeDue"/>), which saves
    /// waking the timers' thread for it. The event is set where the timer is moved.
    /// </summary>
    public void Keep(HostEvent keeper) => owner.Keep(this, keeper);

    /// <summary>Back to the timers' thread.</summary>
    public void GiveBack() => owner.GiveBack(this);

    /// <summary>Fires it where its time has come. By its keeper.</summary>
    /// <param name="slack">Nanoseconds by which it may be late.</param>
    /// <returns>Nanoseconds until it must fire; <see cref="long.MaxValue"/> where it is off.</returns>
    public long TakeDue(long slack)
    {
        long left = owner.TakeDue(this, slack);
        if (left <= 0)
        {
            Fired();
            left = owner.TakeDue(this, slack);
        }

        return left;
    }
}
