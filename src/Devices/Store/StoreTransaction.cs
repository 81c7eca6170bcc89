using System.Collections.Immutable;

namespace Dbt.Devices.Store;

/// <summary>
/// A transaction: reads see the store as it was at the start plus its own writes. It commits if every node that it looked at (found or
/// not) is still the one it saw; one that wrote nothing always commits, for it saw one moment of the store.
/// </summary>
internal sealed class StoreTransaction : NodeSpace
{
    private readonly LiveSpace _live;
    private readonly ImmutableDictionary<string, StoreNode> _snapshot;
    private readonly bool _limited;
    private readonly Dictionary<string, StoreNode?> _seen = new(StringComparer.Ordinal);
    private readonly Dictionary<string, StoreNode?> _written = new(StringComparer.Ordinal);
    private readonly OrderedDictionary<string, StoreChange> _changes = new(StringComparer.Ordinal);
    private readonly Dictionary<ushort, int> _ownedDelta = [];
    private readonly Dictionary<ushort, int> _ownedAtStart = [];

    /// <summary>Whether it began elsewhere, before the guest came here: what it saw isn't known, so it has to be done again.</summary>
    public bool IsStale { get; init; }

    public StoreTransaction(LiveSpace live, bool limited)
    {
        _live = live;
        _snapshot = live.Nodes;
        _limited = limited;
    }

    /// <inheritdoc/>
    public override StoreNode? Get(string path)
    {
        if (_written.TryGetValue(path, out StoreNode? written))
        {
            return written;
        }

        if (!_seen.TryGetValue(path, out StoreNode? node))
        {
            if (_limited && _seen.Count >= StoreLimits.TransactionNodes)
            {
                IsExhausted = true;
                return null;
            }

            node = _snapshot.GetValueOrDefault(path);
            _seen.Add(path, node);
        }

        return node;
    }

    /// <inheritdoc/>
    public override void Put(string path, StoreNode? node)
    {
        StoreNode? old = Get(path);
        Count(old, -1);
        Count(node, 1);
        _written[path] = node;
    }

    /// <inheritdoc/>
    public override void Changed(StoreChange change)
    {
        // One event a node, however often it was changed: what a guest can make the store remember is bounded.
        if (_changes.TryGetValue(change.Path, out StoreChange? earlier))
        {
            change = change with { Before = earlier.Before, Exact = earlier.Exact && change.Exact };
        }

        _changes[change.Path] = change;
    }

    /// <inheritdoc/>
    public override int CountOwnedBy(ushort domain)
    {
        if (!_ownedAtStart.TryGetValue(domain, out int start))
        {
            start = _live.CountOwnedBy(domain);
            _ownedAtStart.Add(domain, start);
        }

        return start + _ownedDelta.GetValueOrDefault(domain);
    }

    /// <inheritdoc/>
    public override ulong NextGeneration() => _live.NextGeneration();

    /// <summary>Brings the writes into the store, all or none.</summary>
    /// <param name="quota">Nodes that any domain but 0 may own.</param>
    public StoreError Commit(int quota)
    {
        if (IsExhausted)
        {
            return StoreError.ENOSPC;
        }

        if (IsStale)
        {
            return StoreError.EAGAIN;
        }

        if (_written.Count == 0)
        {
            return StoreError.None;
        }

        foreach ((string path, StoreNode? node) in _seen)
        {
            if (!ReferenceEquals(_live.Get(path), node))
            {
                return StoreError.EAGAIN;
            }
        }

        foreach ((ushort domain, int delta) in _ownedDelta)
        {
            if (domain != 0 && delta > 0 && _live.CountOwnedBy(domain) + delta > quota)
            {
                return StoreError.ENOSPC;
            }
        }

        foreach ((string path, StoreNode? node) in _written)
        {
            _live.Put(path, node);
        }

        foreach (StoreChange change in _changes.Values)
        {
            _live.Changed(change);
        }

        return StoreError.None;
    }

    private void Count(StoreNode? node, int delta)
    {
        if (node is not null)
        {
            _ownedDelta[node.Owner] = _ownedDelta.GetValueOrDefault(node.Owner) + delta;
        }
    }
}
