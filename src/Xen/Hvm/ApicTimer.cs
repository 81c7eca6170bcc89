namespace Dbt.Xen.Hvm;

/// <summary>
/// The local APIC's timer (SDM vol. 3, 11.5.4), one-shot and periodic, on Xen's bus clock of 100 MHz. The host's timer calls
/// <see cref="Elapsed"/>.
/// </summary>
internal sealed partial class ApicTimer(IApicBus bus, Action fire)
{
    /// <summary>Nanoseconds of one bus cycle (APIC_BUS_CYCLE_NS).</summary>
    public const long CycleNanoseconds = 10;

    // As in Xen a guest can't have the host's timers do nothing else.
    private const long ShortestPeriod = 900_000;

    private readonly Lock _lock = new();
    private uint _initial, _divide;
    private long _started;
    private bool _periodic, _running;

    /// <summary>The initial-count register.</summary>
    public uint InitialCount
    {
        get
        {
            lock (_lock)
            {
                return _initial;
            }
        }
    }

    /// <summary>Whether it will fire.</summary>
    public bool IsRunning
    {
        get
        {
            lock (_lock)
            {
                return _running;
            }
        }
    }

    /// <summary>The current-count register.</summary>
    public uint CurrentCount
    {
        get
        {
            lock (_lock)
            {
                if (!_running)
                {
                    return 0;
                }

                long gone = Math.Max(0, bus.Now - _started) / Tick;
                return _periodic ? (uint)(_initial - (gone % _initial)) : (uint)Math.Max(0, _initial - gone);
            }
        }
    }

    /// <summary>The divide-configuration register.</summary>
    public uint Divide
    {
        get
        {
            lock (_lock)
            {
                return _divide;
            }
        }

        set
        {
            lock (_lock)
            {
                _divide = value;
                Restart();
            }
        }
    }

    // Bits 0, 1 and 3 are a power of two from 2 on; all set is 1.
    private long Tick => CycleNanoseconds << (int)(((_divide & 3) | ((_divide & 8) >> 1)) + 1 & 7);

    private long Period => Math.Max(_initial * Tick, _periodic ? ShortestPeriod : 0);

    /// <summary>After INIT or a reset.</summary>
    public void Reset()
    {
        lock (_lock)
        {
            (_initial, _divide, _periodic) = (0, 0, false);
            Restart();
        }
    }

    /// <summary>Writes the initial count; 0 stops it.</summary>
    public void Start(uint count)
    {
        lock (_lock)
        {
            _initial = count;
            Restart();
        }
    }

    /// <summary>Sets the mode, of which a running timer takes notice at its next expiry.</summary>
    public void SetPeriodic(bool periodic)
    {
        lock (_lock)
        {
            _periodic = periodic;
        }
    }

    /// <summary>The deadline may have come.</summary>
    public void Elapsed()
    {
        lock (_lock)
        {
            if (!_running)
            {
                return;
            }

            long now = bus.Now, due = _started + Period;
            if (now < due)
            {
                bus.SetTimer(due);
                return;
            }

            if (_periodic)
            {
                // What the host was too busy for is not caught up with.
                _started = Math.Max(due, now - Period);
                bus.SetTimer(_started + Period);
            }
            else
            {
                _running = false;
            }
        }

        fire();
    }

    private void Restart()
    {
        _running = _initial != 0;
        _started = bus.Now;
        bus.SetTimer(_running ? _started + Period : null);
    }
}
