using System.Text;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>The differences that a run found: how often, and a minimal example of each kind. Thread-safe.</summary>
internal sealed class OracleFailures
{
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, (int Count, string Example)> _kinds = [];

    /// <summary>Whether examples are to be made small, rather than taken as they come.</summary>
    public bool Shrinks { get; set; } = true;

    /// <summary>Told of the first example of each kind as it comes.</summary>
    public Action<string>? Found { get; set; }

    /// <summary>Kinds of differences.</summary>
    public int Kinds
    {
        get
        {
            lock (_lock)
            {
                return _kinds.Count;
            }
        }
    }

    /// <summary>Counts one more of a kind that has an example already.</summary>
    /// <returns>False where it has none.</returns>
    public bool AddIfKnown(string kind)
    {
        lock (_lock)
        {
            bool known = _kinds.TryGetValue(kind, out (int Count, string Example) entry);
            if (known)
            {
                _kinds[kind] = (entry.Count + 1, entry.Example);
            }

            return known;
        }
    }

    /// <summary>Counts one, and keeps the first example.</summary>
    public void Add(string kind, string example)
    {
        lock (_lock)
        {
            (int count, string first) = _kinds.GetValueOrDefault(kind, (0, example));
            if (count == 0)
            {
                Found?.Invoke($"== {kind}\n{example}");
            }

            _kinds[kind] = (count + 1, first);
        }
    }

    /// <summary>All kinds, the most frequent first.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        lock (_lock)
        {
            foreach ((string kind, (int count, string example)) in _kinds.OrderByDescending(f => f.Value.Count))
            {
                text.AppendLine().AppendLine($"== {count} x {kind}").Append(example);
            }
        }

        return text.ToString();
    }
}
