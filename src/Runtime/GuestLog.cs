namespace Dbt.Runtime;

/// <summary>A domain's message log, what <c>dbt dmesg</c> shows: bounded, thread-safe, each distinct "once" message said once.</summary>
public sealed class GuestLog
{
    private const int Capacity = 4096;
    private readonly Lock _lock = new();
    private readonly Queue<string> _lines = new();
    private readonly HashSet<string> _said = [];

    /// <summary>Raised for each new line, on the writer's thread.</summary>
    public event Action<string>? LineAdded;

    /// <summary>Adds a line.</summary>
    public void Add(string line)
    {
        lock (_lock)
        {
            if (_lines.Count == Capacity)
            {
                _lines.Dequeue();
            }

            _lines.Enqueue(line);
        }

        LineAdded?.Invoke(line);
    }

    /// <summary>Adds a line unless the same one was added with this method before. A guest can't grow the memory of what was said.</summary>
    public void AddOnce(string line)
    {
        lock (_lock)
        {
            if (_said.Count >= Capacity || !_said.Add(line))
            {
                return;
            }
        }

        Add(line);
    }

    /// <summary>A copy of the lines, oldest first.</summary>
    public IReadOnlyList<string> Lines
    {
        get
        {
            lock (_lock)
            {
                return [.. _lines];
            }
        }
    }
}
