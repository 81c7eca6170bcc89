using System.Collections.Immutable;

namespace Dbt.Devices.Store;

/// <summary>What one change touched, for watches.</summary>
/// <param name="Path">The node.</param>
/// <param name="Exact">Whether only watches on this very node fire, as for the descendants of a removed node.</param>
/// <param name="Before">The node as it was; null where it was made.</param>
/// <param name="After">The node as it is; null where it was removed.</param>
/// <param name="Parent">The parent, whose readers learn of children that come and go.</param>
internal sealed record StoreChange(string Path, bool Exact, StoreNode? Before, StoreNode? After, StoreNode? Parent)
{
    /// <summary>Whether a domain may learn of the change: nobody hears of nodes he can't read.</summary>
    public bool IsVisibleTo(ushort domain) =>
        (Before?.Permits(domain, StoreAccess.Read) ?? false)
        || (After?.Permits(domain, StoreAccess.Read) ?? false)
        || ((Before is null || After is null) && (Parent?.Permits(domain, StoreAccess.Read) ?? false));
}

/// <summary>Nodes as one reader sees them: the store itself, or a transaction's view.</summary>
internal abstract class NodeSpace
{
    /// <summary>Set once more nodes were touched than a transaction may; nothing read after that is to be believed.</summary>
    public bool IsExhausted { get; protected set; }

    /// <summary>The node at a path, or null.</summary>
    public abstract StoreNode? Get(string path);

    /// <summary>Replaces, makes, or with null removes a node.</summary>
    public abstract void Put(string path, StoreNode? node);

    /// <summary>Notes a change that watches are told of.</summary>
    public abstract void Changed(StoreChange change);

    /// <summary>Nodes that a domain owns in this view.</summary>
    public abstract int CountOwnedBy(ushort domain);

    /// <summary>A generation that no node has yet.</summary>
    public abstract ulong NextGeneration();
}

/// <summary>The store's own nodes.</summary>
internal sealed class LiveSpace : NodeSpace
{
    private readonly Dictionary<ushort, int> _owned = [];
    private ulong _generation;

    /// <summary>Changes since they were last taken.</summary>
    public List<StoreChange> Changes { get; } = [];

    /// <summary>All nodes, immutable: a transaction keeps it as its snapshot.</summary>
    public ImmutableDictionary<string, StoreNode> Nodes { get; private set; } = ImmutableDictionary.Create<string, StoreNode>(StringComparer.Ordinal);

    /// <inheritdoc/>
    public override StoreNode? Get(string path) => Nodes.GetValueOrDefault(path);

    /// <inheritdoc/>
    public override void Put(string path, StoreNode? node)
    {
        if (Nodes.TryGetValue(path, out StoreNode? old))
        {
            Count(old.Owner, -1);
        }

        if (node is null)
        {
            Nodes = Nodes.Remove(path);
            return;
        }

        Count(node.Owner, 1);
        Nodes = Nodes.SetItem(path, node);
    }

    /// <inheritdoc/>
    public override void Changed(StoreChange change) => Changes.Add(change);

    /// <inheritdoc/>
    public override int CountOwnedBy(ushort domain) => _owned.GetValueOrDefault(domain);

    /// <inheritdoc/>
    public override ulong NextGeneration() => ++_generation;

    private void Count(ushort owner, int delta)
    {
        int count = _owned.GetValueOrDefault(owner) + delta;
        if (count == 0)
        {
            _owned.Remove(owner);
        }
        else
        {
            _owned[owner] = count;
        }
    }
}
