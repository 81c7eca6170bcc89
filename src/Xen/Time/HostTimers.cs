using Dbt.Runtime.HostTime;

namespace Dbt.Xen.Time;

/// <summary>
/// The machine's timers: one thread that sleeps until the earliest deadline. It is woken by nothing else: a timer that is set moves its
/// alarm, and one that is turned off or moved later doesn't even that, so a guest that sets and stops timers all the time costs little.
/// </summary>
internal sealed class HostTimers : IDisposable
{
    private readonly Lock _lock = new();
    private readonly List<HostTimer> _timers = [];
    private readonly HostAlarm _alarm = new();
    private readonly ManualResetEventSlim _settled = new(initialState: true);
    private readonly Thread _thread;
    private long _sleepingUntil = long.MaxValue;
    private volatile bool _stopping;

    public HostTimers()
    {
        _thread = new Thread(Run) { IsBackground = true, Name = "timers" };
        _thread.Start();
    }

    /// <summary>Makes a timer that is off.</summary>
    public HostTimer Create(Action fired) => new(this, fired);

    internal void Set(HostTimer timer, long hostDeadline)
    {
        HostEvent? keeper;
        lock (_lock)
        {
            timer.Deadline = hostDeadline;
            keeper = timer.Keeper;
            if (keeper is null)
            {
                List(timer);
            }
        }

        keeper?.Set();
    }

    /// <summary>
    /// Waits until what was due has been done: who has stopped a domain's clock finds all that its timers did, and nothing half done. Not on
    /// the timers' own thread.
    /// </summary>
    internal void Settle()
    {
        // What is being collected just now is to be seen as under way.
        lock (_lock)
        {
        }

        _settled.Wait();
    }

    internal void Keep(HostTimer timer, HostEvent keeper)
    {
        lock (_lock)
        {
            timer.Keeper = keeper;
            if (!timer.Listed)
            {
                return;
            }

            timer.Listed = false;
            _timers.Remove(timer);
            if (timer.Deadline <= _sleepingUntil)
            {
                long next = long.MaxValue;
                foreach (HostTimer other in _timers)
                {
                    next = Math.Min(next, other.Deadline);
                }

                SleepUntil(next);
            }
        }
    }

    internal void GiveBack(HostTimer timer)
    {
        lock (_lock)
        {
            timer.Keeper = null;
            List(timer);
        }
    }

    internal long TakeDue(HostTimer timer, long slack)
    {
        lock (_lock)
        {
            if (timer.Deadline == long.MaxValue)
            {
                return long.MaxValue;
            }

            long left = timer.Deadline + slack - HostClock.Now;
            if (left <= 0)
            {
                timer.Deadline = long.MaxValue;
            }

            return left;
        }
    }

    private void List(HostTimer timer)
    {
        if (timer.Deadline == long.MaxValue)
        {
            return;
        }

        if (!timer.Listed)
        {
            timer.Listed = true;
            _timers.Add(timer);
        }

        if (timer.Deadline < _sleepingUntil)
        {
            SleepUntil(timer.Deadline);
        }
    }

    private void SleepUntil(long deadline)
    {
        _sleepingUntil = deadline;
        _alarm.Set(deadline);
    }

    private void Run()
    {
        var due = new List<HostTimer>();
        while (!_stopping)
        {
            CollectDue(due);
            if (due.Count == 0)
            {
                _alarm.Wait();
                continue;
            }

            foreach (HostTimer timer in due)
            {
                timer.Fired();
            }

            due.Clear();
            _settled.Set();
        }
    }

    /// <summary>Takes what is due off the list, and sets the alarm for the rest.</summary>
    private void CollectDue(List<HostTimer> due)
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

            if (due.Count != 0)
            {
                _settled.Reset();
            }

            if (!_stopping)
            {
                SleepUntil(next);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            _stopping = true;
            _alarm.Set(1);
        }

        _thread.Join();
        _alarm.Dispose();
        _settled.Dispose();
    }
}
