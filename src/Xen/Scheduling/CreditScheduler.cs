namespace Dbt.Xen.Scheduling;

/// <summary>
/// Keeps caps and weights. Virtual processors are threads, which the host schedules; this one only has some of them wait at a safe point: those of a domain
/// that has used up its cap, and where domains have different weights and more processors want to run than the host has, those that had more than their
/// share. A domain without a cap among others of its weight has nothing to do with it. It looks when a processor begins or ceases to run, and at the times
/// that it sets its timer to.
/// </summary>
/// <param name="processors">The host's.</param>
/// <param name="clock">Host time.</param>
/// <param name="setTimer">Has <see cref="Look"/> called at a host time; <see cref="long.MaxValue"/> for never.</param>
internal sealed class CreditScheduler(int processors, Func<long> clock, Action<long> setTimer)
{
    /// <summary>How often those that run are chosen anew, in nanoseconds: Xen's tick.</summary>
    public const long Tick = 10_000_000;

    // A cap that is nearly used up is not looked at more often.
    private const long ShortestLook = 500_000;

    private readonly Lock _lock = new();
    private readonly List<CpuShare> _shares = [];
    private readonly List<ScheduledProcessor> _active = [], _wanting = [];
    private bool _weighs;
    private long _timer = long.MaxValue;

    /// <summary>Makes a domain's share.</summary>
    public CpuShare Add()
    {
        var share = new CpuShare(this);
        Change(share, () => _shares.Add(share));
        return share;
    }

    /// <summary>A domain has ended.</summary>
    public void Remove(CpuShare share) => Change(share, () => _shares.Remove(share));

    /// <summary>Changes something of a share, and looks what follows.</summary>
    public void Change(CpuShare share, Action change)
    {
        lock (_lock)
        {
            int cap = share.Cap;
            change();
            if (share.Cap != cap)
            {
                share.Account.Set((uint)share.Cap, clock());
            }

            _weighs = _shares.Exists(other => other.Weight != _shares[0].Weight);
            bool keeps = false;
            foreach (CpuShare one in _shares)
            {
                one.Keep(one.Cap != 0 || _weighs);
                keeps |= one.IsKept;
            }

            if (keeps || _timer != long.MaxValue)
            {
                LookLocked();
            }
        }
    }

    /// <summary>Decides who is to wait: a processor begins or ceases to run. Any thread.</summary>
    public void Look()
    {
        lock (_lock)
        {
            LookLocked();
        }
    }

    /// <summary>The same at the time that the timer was set to.</summary>
    public void TimerFired()
    {
        lock (_lock)
        {
            _timer = long.MaxValue;
            LookLocked();
        }
    }

    private void LookLocked()
    {
        long next = long.MaxValue, now = clock();
        _active.Clear();
        _wanting.Clear();
        foreach (CpuShare share in _shares)
        {
            if (share.IsKept)
            {
                next = Math.Min(next, Enforce(share, now));
            }
        }

        if (_weighs && _wanting.Count > processors)
        {
            Weighing.Distribute(_active, _wanting, processors);
            Weighing.Choose(_wanting, processors);
            next = Math.Min(next, now + Tick);
        }
        else
        {
            _wanting.ForEach(static one => one.Rest(false));
        }

        if (next != _timer)
        {
            _timer = next;
            setTimer(next);
        }
    }

    // Collects a domain's processors, and lets them rest where its cap is used up.
    private long Enforce(CpuShare share, long now)
    {
        long used = 0;
        int wanting = 0, first = _wanting.Count;
        foreach (ScheduledProcessor one in share.Processors)
        {
            bool wants = one.Processor.WantsToRun;
            if (!wants && !one.IsActive)
            {
                continue;
            }

            one.Measure();
            used += one.Used;
            _active.Add(one);
            one.IsActive = wants;
            if (wants)
            {
                wanting++;
                _wanting.Add(one);
            }
            else
            {
                one.Rest(false);
            }
        }

        share.Account.Charge(used, now);
        if (wanting == 0 || share.Cap == 0)
        {
            return long.MaxValue;
        }

        if (!share.Account.IsSpent)
        {
            return now + Math.Max(ShortestLook, share.Account.Left / wanting);
        }

        for (int i = first; i < _wanting.Count; i++)
        {
            _wanting[i].Rest(true);
        }

        _wanting.RemoveRange(first, wanting);
        return share.Account.RefilledAt;
    }
}
