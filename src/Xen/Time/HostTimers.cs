using Dbt.Runtime.HostTime;

namespace Dbt.Xen.Time;

/// <summary>A one-shot timer of <see cref="HostTimers"/>; its action runs on the timer thread and must be short.</summary>
internal sealed class HostTimer(HostTimers owner, Action fired)
{
    internal Action Fired { get; } = fired;

    /// <summary>Host time (see <see cref="HostClock"/>) at which it fires; <see cref="long.MaxValue"/> where it is off.</summary>
    internal long Deadline = long.MaxValue;

    internal bool Listed;

    /// <summary>Sets it, replacing what was set before.</summary>
    public void Set(long hostDeadline) => owner.Set(this, hostDeadline);

    /// <summary>Turns it off. An action that has begun still ends.</summary>
    public void Cancel() => owner.Set(this, long.MaxValue);
}

/// <summary>
/// The machine's timers: one thread that sleeps until the earliest deadline. A timer that is turned off or moved later does not wake
/// it, so a guest that sets and stops timers all the time costs little.
/// </summary>
internal sealed class HostTimers : IDisposable
{
    private readonly Lock _lock = new();
    private readonly List<HostTimer> _timers = [];
    private readonly HostEvent _changed = new();
    private readonly Thread _thread;
    private long _sleepingUntil = long.MaxValue;
    private bool _stopping;

    public HostTimers()
    {
        _thread = new Thread(Run) { IsBackground = true, Name = "timers" };
        _thread.Start();
    }

    /// <summary>Makes a timer that is off.</summary>
    public HostTimer Create(Action fired) => new(this, fired);

    internal void Set(HostTimer timer, long hostDeadline)
    {
        bool wake;
        lock (_lock)
        {
            timer.Deadline = hostDeadline;
            if (hostDeadline == long.MaxValue)
            {
                return;
            }

            if (!timer.Listed)
            {
                timer.Listed = true;
                _timers.Add(timer);
            }

            wake = hostDeadline < _sleepingUntil;
        }

        if (wake)
        {
            _changed.Set();
        }
    }

    private void Run()
    {
        var due = new List<HostTimer>();
        while (true)
        {
            long wait = CollectDue(due);
            if (_stopping)
            {
                return;
            }

            if (due.Count == 0)
            {
                _changed.Wait(wait);
                continue;
            }

            foreach (HostTimer timer in due)
            {
                timer.Fired();
            }

            due.Clear();
        }
    }

    /// <summary>Takes what is due off the list; returns nanoseconds to the next deadline, -1 for none.</summary>
    private long CollectDue(List<HostTimer> due)
    {
        lock (_lock)
        {
            long now = HostClock.Now, next = long.MaxValue;
            for (int i = _timers.Count - 1; i >= 0; i--)
            {
                HostTimer timer = _timers[i];
                if (timer.Deadline > now && timer.Deadline != long.MaxValue)
                {
                    next = Math.Min(next, timer.Deadline);
                    continue;
                }

                if (timer.Deadline != long.MaxValue)
                {
                    due.Add(timer);
                }

                timer.Deadline = long.MaxValue;
                timer.Listed = false;
                _timers.RemoveAt(i);
            }

            _sleepingUntil = next;
            return next == long.MaxValue ? -1 : next - now;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stopping = true;
        _changed.Set();
        _thread.Join();
        _changed.Dispose();
    }
}
