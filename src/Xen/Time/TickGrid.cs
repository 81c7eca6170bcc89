namespace Dbt.Xen.Time;

/// <summary>
/// Whether the deadlines of a processor's single-shot timer are a periodic tick: each a whole number of periods behind the one before.
/// A kernel that catches up by its clock stays on that grid however late it is woken; one that counts a tick an interrupt doesn't, which
/// shows at the first ones that are late, and is not tried again. By the processor's own thread. Times are system time in nanoseconds.
/// </summary>
internal sealed class TickGrid
{
    /// <summary>Deadlines on the grid before they are taken for a tick.</summary>
    public const int Needed = 16;

    // Linux's ticks are of 1 to 10 ms; what is rarer is worth no thought.
    private const long Shortest = 500_000, Longest = 50_000_000;

    // Part of a period by which a deadline may miss the grid: a kernel computes it by its own clock, and sets it by ours.
    private const int Tolerance = 8;

    // Times in succession that a late tick led off the grid: once may be a timer of another kind.
    private const int Enough = 3;

    private long _last, _period;
    private int _matches;
    private bool _delayed;
    private int _strayed;
    private bool _bears;

    /// <summary>The tick's period; 0 where there is none, or none that may be late.</summary>
    public long Period => _matches >= Needed && _strayed < Enough ? _period : 0;

    /// <summary>
    /// Whether the guest has shown that it makes up for a late tick: one that was served off its grid led back to it. It need not be tried
    /// again, so a late tick may be served at any moment.
    /// </summary>
    public bool Bears => _bears && Period != 0;

    /// <summary>The guest has set its timer.</summary>
    public void Armed(long deadline)
    {
        long step = deadline - _last;
        if (step == 0)
        {
            return;
        }

        _last = deadline;
        if (_period != 0 && step > 0 && IsOnGrid(step))
        {
            _matches = Math.Min(_matches + 1, Needed);
            _strayed = _delayed && _strayed < Enough ? 0 : _strayed;
            _bears |= _delayed;
        }
        else
        {
            _strayed += _delayed ? 1 : 0;
            _bears &= !_delayed;
            _matches = 0;
            _period = step is >= Shortest and <= Longest ? step : 0;
        }

        _delayed = false;
    }

    /// <summary>
    /// The last deadline was served late on purpose, by some periods and a half at first: the next one tells whether the guest bears it.
    /// </summary>
    public void Delay() => _delayed = true;

    private bool IsOnGrid(long step)
    {
        long off = step % _period;
        return step >= _period - (_period / Tolerance) && Math.Min(off, _period - off) <= _period / Tolerance;
    }
}
