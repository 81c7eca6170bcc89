namespace Dbt.Xen.Diagnostics;

/// <summary>The last few events that were sent to a domain, for reports. Its owner's lock guards it.</summary>
internal sealed class EventLog
{
    private const int Remembered = 8;

    private readonly (uint Port, long At)[] _last = new (uint, long)[Remembered];
    private int _next;

    /// <summary>Notes one.</summary>
    /// <param name="port">The domain's port.</param>
    /// <param name="at">System time, nanoseconds.</param>
    public void Add(uint port, long at)
    {
        _last[_next % Remembered] = (port, at);
        _next = _next == int.MaxValue ? Remembered : _next + 1;
    }

    /// <summary>A copy, newest first.</summary>
    public List<(uint Port, long At)> Recent()
    {
        var list = new List<(uint, long)>();
        for (int i = _next - 1; i >= Math.Max(0, _next - Remembered); i--)
        {
            list.Add(_last[i % Remembered]);
        }

        return list;
    }
}
