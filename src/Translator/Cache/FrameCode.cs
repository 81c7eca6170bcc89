namespace Dbt.Translator.Cache;

/// <summary>What was made from the bytes of one machine frame.</summary>
internal sealed class FrameCode
{
    private readonly List<(int Start, int End, object Unit)> _units = [];

    /// <summary>Whether anything depends on the frame's bytes.</summary>
    public bool IsEmpty => _units.Count == 0;

    /// <summary>Whether the code map has been told.</summary>
    public bool Held { get; set; }

    /// <summary>Times that code here was overwritten.</summary>
    public int Drops { get; set; }

    /// <summary>Interpreted until the engine's clock (executed blocks in the interpreter) passes this.</summary>
    public long CoolUntil { get; set; }

    /// <summary>Adds what depends on the bytes from <paramref name="start"/> to before <paramref name="end"/>.</summary>
    public void Add(int start, int end, object unit) => _units.Add((start, end, unit));

    /// <summary>Removes all ranges of a unit.</summary>
    public void Remove(object unit) => _units.RemoveAll(entry => ReferenceEquals(entry.Unit, unit));

    /// <summary>Removes what is of no use any more, in one go: a frame may have many units, and all may go together.</summary>
    public void RemoveVoid() => _units.RemoveAll(static entry => entry.Unit is Translation { Dropped: true } or CodeBlock { Decoded: null });

    /// <summary>Collects the units that depend on a byte of the range; one with several ranges there more than once.</summary>
    public void Overlapping(int start, int end, List<object> found)
    {
        foreach ((int unitStart, int unitEnd, object unit) in _units)
        {
            if (unitStart < end && start < unitEnd)
            {
                found.Add(unit);
            }
        }
    }

    /// <summary>All units.</summary>
    public void All(List<object> found) => Overlapping(0, 4096, found);
}
