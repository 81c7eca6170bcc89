namespace Dbt.Perf.Fuzz;

/// <summary>
/// What attacks have met so far: pairs of what was asked and what came of it. A case that meets something new is kept, and others are made
/// from it, so that a run finds its way to what chance alone would not reach. Thread-safe.
/// </summary>
internal sealed class FuzzNotes
{
    private readonly Lock _lock = new();
    private readonly HashSet<(string Asked, long Came)> _seen = [];
    private bool _new;

    /// <summary>Different things met.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _seen.Count;
            }
        }
    }

    /// <summary>Attackers that were made, and those of them that crashed.</summary>
    public long Attackers { get; private set; }

    /// <summary>See <see cref="Attackers"/>.</summary>
    public long Crashes { get; private set; }

    /// <summary>Longest time in milliseconds that an attacker took to stop when it was told to.</summary>
    public long SlowestStop { get; private set; }

    /// <summary>Something happened.</summary>
    public void Met(string asked, long came)
    {
        lock (_lock)
        {
            _new |= _seen.Add((asked, came));
        }
    }

    /// <summary>What it was at meanwhile.</summary>
    public string SlowestWas { get; private set; } = "";

    /// <summary>An attacker came to its end.</summary>
    public void Ended(bool crashed, long stopMilliseconds, string doing)
    {
        lock (_lock)
        {
            Attackers++;
            Crashes += crashed ? 1 : 0;
            if (stopMilliseconds > SlowestStop)
            {
                (SlowestStop, SlowestWas) = (stopMilliseconds, doing);
            }
        }
    }

    /// <summary>Whether anything was met for the first time since this was last asked.</summary>
    public bool TakeNew()
    {
        lock (_lock)
        {
            bool was = _new;
            _new = false;
            return was;
        }
    }
}
