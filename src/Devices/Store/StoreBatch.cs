using System.Collections.Immutable;
using System.Text;

namespace Dbt.Devices.Store;

/// <summary>
/// What an administrator does to the store in one piece (<see cref="XenStore.Transact"/>), as domain 0: no permission and no quota holds
/// him up, only what a path and a message can be. Paths are absolute, or below <c>/local/domain/0</c>; any text may be given.
/// </summary>
public sealed class StoreBatch
{
    private const ushort Caller = 0;
    private readonly NodeSpace _space;

    internal StoreBatch(NodeSpace space) => _space = space;

    /// <summary>A node's value.</summary>
    /// <returns>EINVAL for what is no path, ENOENT where there is no node.</returns>
    public StoreError Read(string path, out byte[] value)
    {
        StoreError error = Find(path, out _, out StoreNode? node);
        value = node?.Value ?? [];
        return error;
    }

    /// <summary>The names of a node's children, in the order in which they were made.</summary>
    /// <returns>As <see cref="Read"/>.</returns>
    public StoreError List(string path, out IReadOnlyList<string> names)
    {
        StoreError error = Find(path, out _, out StoreNode? node);
        names = node is null ? [] : node.Children;
        return error;
    }

    /// <summary>A node's permissions, the owner's first.</summary>
    /// <returns>As <see cref="Read"/>.</returns>
    public StoreError GetPermissions(string path, out IReadOnlyList<StorePermission> permissions)
    {
        StoreError error = Find(path, out _, out StoreNode? node);
        permissions = node is null ? [] : node.Permissions;
        return error;
    }

    /// <summary>Writes a value, making the node and its missing parents.</summary>
    /// <returns>E2BIG for more than a message can hold (XENSTORE_PAYLOAD_MAX, the path with its zero included).</returns>
    public StoreError Write(string path, ReadOnlySpan<byte> value)
    {
        if (!TryResolve(path, out string resolved))
        {
            return StoreError.EINVAL;
        }

        return path.Length + 1 + value.Length > StoreLimits.Payload
            ? StoreError.E2BIG
            : NodeOperations.Write(_space, Caller, resolved, value.ToArray());
    }

    /// <summary>Removes a node with all below it. One that isn't there is no error where its parent is.</summary>
    /// <param name="path">The node.</param>
    /// <param name="tidy">Also what is above it, as long as that has neither a value nor children; the root stays.</param>
    public StoreError Remove(string path, bool tidy)
    {
        if (!TryResolve(path, out string resolved))
        {
            return StoreError.EINVAL;
        }

        while (true)
        {
            StoreError error = NodeOperations.Remove(_space, Caller, resolved);
            resolved = error == StoreError.None ? StorePath.Parent(resolved) : "/";
            if (error != StoreError.None || !tidy || resolved.Length == 1 || _space.Get(resolved) is not { Value.Length: 0, Children.Length: 0 })
            {
                return error;
            }
        }
    }

    /// <summary>Replaces a node's permissions.</summary>
    /// <param name="path">The node.</param>
    /// <param name="permissions">At least one; the first names the owner.</param>
    /// <param name="above">Those of the nodes above it too, the root left out.</param>
    /// <param name="below">Those of all nodes below it too.</param>
    public StoreError SetPermissions(string path, IReadOnlyList<StorePermission> permissions, bool above, bool below)
    {
        StoreError error = Find(path, out string resolved, out _);
        if (error != StoreError.None || permissions.Count == 0)
        {
            return error == StoreError.None ? StoreError.EINVAL : error;
        }

        ImmutableArray<StorePermission> all = [.. permissions];
        var nodes = new List<string> { resolved };
        for (string parent = resolved; above && parent.Length > 1 && (parent = StorePath.Parent(parent)).Length > 1;)
        {
            nodes.Add(parent);
        }

        if (below)
        {
            nodes.AddRange(Below(_space, resolved).Skip(1).Select(static node => node.Path));
        }

        foreach (string node in nodes)
        {
            error = NodeOperations.SetPermissions(_space, Caller, node, all);
            if (error != StoreError.None)
            {
                return error;
            }
        }

        return StoreError.None;
    }

    /// <summary>A node and all below it, each before its children. What the store is at one moment, whatever happens to it later.</summary>
    /// <returns>As <see cref="Read"/>.</returns>
    public StoreError Tree(string path, out IEnumerable<StoreEntry> nodes)
    {
        StoreError error = Find(path, out string resolved, out _);
        nodes = error == StoreError.None ? Below(_space, resolved) : [];
        return error;
    }

    private static IEnumerable<StoreEntry> Below(NodeSpace space, string path)
    {
        var waiting = new Stack<string>();
        waiting.Push(path);
        while (waiting.TryPop(out string? current))
        {
            if (space.Get(current) is not { } node)
            {
                continue;
            }

            yield return new StoreEntry(current, node.Value, node.Permissions);
            for (int i = node.Children.Length - 1; i >= 0; i--)
            {
                waiting.Push(StorePath.Child(current, node.Children[i]));
            }
        }
    }

    /// <summary>An absolute path of what somebody typed.</summary>
    internal static bool TryResolve(string path, out string resolved)
    {
        // What isn't Latin-1 becomes '?', which no path may have.
        bool valid = StorePath.TryResolve(Encoding.Latin1.GetBytes(path), Caller, out string? text);
        resolved = text ?? "";
        return valid;
    }

    private StoreError Find(string path, out string resolved, out StoreNode? node)
    {
        node = null;
        return TryResolve(path, out resolved) ? NodeOperations.Find(_space, Caller, resolved, StoreAccess.Read, out node) : StoreError.EINVAL;
    }
}
