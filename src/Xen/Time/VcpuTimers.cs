using Dbt.Runtime.HostTime;
using Dbt.Xen.Events;

namespace Dbt.Xen.Time;

/// <summary>
/// A processor's two timers, both of which raise VIRQ_TIMER: the single-shot one (set_timer_op, VCPUOP_set_singleshot_timer) and the
/// periodic one, which every PV guest starts with at 100 Hz until it is stopped. As in Xen the periodic one runs only while the
/// processor does, so an idle guest is left alone, and a tick that was missed is made up for when the processor goes on.
/// All times are system time (<see cref="DomainClock"/>) in nanoseconds.
/// </summary>
internal sealed partial class VcpuTimers
{
    /// <summary>Xen's default tick.</summary>
    public const long DefaultPeriod = 10_000_000;

    private readonly Lock _lock = new();
    private readonly Vcpu _vcpu;
    private readonly HostTimer _singleshotTimer, _periodicTimer;
    private long _singleshot;
    private long _period = DefaultPeriod;
    private long _lastTick;
    private bool _running;

    public VcpuTimers(Vcpu vcpu)
    {
        _vcpu = vcpu;
        _singleshotTimer = vcpu.Domain.Hypervisor.Timers.Create(SingleshotFired);
        _periodicTimer = vcpu.Domain.Hypervisor.Timers.Create(PeriodicFired);
    }

    /// <summary>The host's timer behind the single-shot one.</summary>
    internal HostTimer SingleshotTimer => _singleshotTimer;

    /// <summary>Whether the single-shot timer is a periodic tick.</summary>
    internal TickGrid Grid { get; } = new();

    /// <summary>Deadline of the single-shot timer; 0 where it is off.</summary>
    public long Singleshot
    {
        get
        {
            lock (_lock)
            {
                return _singleshot;
            }
        }
    }

    /// <summary>Period of the periodic timer; 0 where it is off.</summary>
    public long Period
    {
        get
        {
            lock (_lock)
            {
                return _period;
            }
        }
    }

    /// <summary>Sets the single-shot timer, as the guest asks; 0 stops it, a time in the past fires at once.</summary>
    public void SetSingleshot(long deadline)
    {
        if (deadline != 0)
        {
            Grid.Armed(deadline);
        }

        Arm(deadline);
    }

    private void Arm(long deadline)
    {
        long now = _vcpu.Domain.Clock.Now;
        lock (_lock)
        {
            if (deadline == 0 || deadline > now)
            {
                _singleshot = deadline;
                if (deadline == 0)
                {
                    _singleshotTimer.Cancel();
                }
                else
                {
                    _singleshotTimer.Set(HostClock.Now + deadline - now);
                }

                return;
            }

            _singleshot = 0;
            _singleshotTimer.Cancel();
        }

        Tick();
    }

    /// <summary>Sets the periodic timer; 0 stops it.</summary>
    public void SetPeriod(long period)
    {
        lock (_lock)
        {
            _period = period;
            _lastTick = _vcpu.Domain.Clock.Now;
            ArmPeriodic();
        }
    }

    /// <summary>The processor starts, or goes on after it was blocked, down or paused.</summary>
    public void Running()
    {
        bool missed = false;
        lock (_lock)
        {
            _running = true;
            long now = _vcpu.Domain.Clock.Now;
            if (_period != 0 && now - _lastTick >= _period)
            {
                _lastTick = now;
                missed = true;
            }

            ArmPeriodic();
        }

        if (missed)
        {
            Tick();
        }
    }

    /// <summary>The processor blocks, goes down or is paused.</summary>
    public void NotRunning()
    {
        lock (_lock)
        {
            _running = false;
            _periodicTimer.Cancel();
        }
    }

    /// <summary>VIRQ_TIMER was bound: ticks have somewhere to go now.</summary>
    public void VirqBound()
    {
        lock (_lock)
        {
            ArmPeriodic();
        }
    }

    /// <summary>The domain's clock stops: no timer may fire.</summary>
    public void Suspend()
    {
        lock (_lock)
        {
            _singleshotTimer.Cancel();
            _periodicTimer.Cancel();
        }
    }

    /// <summary>The domain's clock goes on.</summary>
    public void Resume() => Arm(Singleshot);

    private void ArmPeriodic()
    {
        if (_period == 0 || !_running || !_vcpu.Domain.Events.IsVirqBound(_vcpu.Id, Virq.Timer))
        {
            _periodicTimer.Cancel();
            return;
        }

        _periodicTimer.Set(HostClock.Now + Math.Max(0, _lastTick + _period - _vcpu.Domain.Clock.Now));
    }

    private void SingleshotFired()
    {
        lock (_lock)
        {
            if (_singleshot == 0)
            {
                return;
            }

            long early = _singleshot - _vcpu.Domain.Clock.Now;
            if (early > 0)
            {
                _singleshotTimer.Set(HostClock.Now + early);
                return;
            }

            _singleshot = 0;
        }

        Tick();
    }

    private void PeriodicFired()
    {
        lock (_lock)
        {
            if (_period == 0 || !_running)
            {
                return;
            }

            // Ticks that the host was too busy for are not caught up with one by one.
            long now = _vcpu.Domain.Clock.Now;
            _lastTick = Math.Max(_lastTick + _period, now - _period);
            ArmPeriodic();
        }

        Tick();
    }

    private void Tick() => _vcpu.Domain.Events.RaiseVirq(_vcpu.Id, Virq.Timer);
}
