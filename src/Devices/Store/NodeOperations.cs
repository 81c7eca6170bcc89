using System.Collections.Immutable;

namespace Dbt.Devices.Store;

/// <summary>
/// What can be done to nodes, with the caller's rights and quotas checked. Each either happens whole or changes nothing.
/// Paths are absolute and valid.
/// </summary>
internal static class NodeOperations
{
    /// <summary>Finds a node on which the caller has an access.</summary>
    public static StoreError Find(NodeSpace space, ushort caller, string path, StoreAccess access, out StoreNode? node)
    {
        node = space.Get(path);
        if (node is not null)
        {
            if (node.Permits(caller, access))
            {
                return StoreError.None;
            }

            node = null;
            return StoreError.EACCES;
        }

        // Whether a node is absent is told only to those who may access the nearest node above it.
        StoreNode? above = NearestAbove(space, path, out _);
        return space.IsExhausted ? StoreError.ENOSPC : above is null || above.Permits(caller, access) ? StoreError.ENOENT : StoreError.EACCES;
    }

    /// <summary>Writes a value, making the node and its missing parents.</summary>
    public static StoreError Write(NodeSpace space, ushort caller, string path, byte[] value)
    {
        StoreError error = Find(space, caller, path, StoreAccess.Write, out StoreNode? node);
        if (error == StoreError.ENOENT)
        {
            return Create(space, caller, path, value);
        }

        return error == StoreError.None ? Replace(space, caller, path, node!, node! with { Value = value }) : error;
    }

    /// <summary>Makes an empty node unless there is one.</summary>
    public static StoreError MakeDirectory(NodeSpace space, ushort caller, string path)
    {
        StoreError error = Find(space, caller, path, StoreAccess.Write, out _);
        return error == StoreError.ENOENT ? Create(space, caller, path, []) : error;
    }

    /// <summary>Removes a node with all below it. An absent node with a parent is no error.</summary>
    public static StoreError Remove(NodeSpace space, ushort caller, string path)
    {
        StoreError error = Find(space, caller, path, StoreAccess.Write, out StoreNode? node);
        if (error == StoreError.ENOENT && path.Length > 1 && space.Get(StorePath.Parent(path)) is not null)
        {
            return StoreError.None;
        }

        if (error != StoreError.None)
        {
            return error;
        }

        if (path.Length == 1)
        {
            return StoreError.EINVAL;
        }

        string parentPath = StorePath.Parent(path);
        StoreNode? parent = space.Get(parentPath);
        var doomed = new List<(string Path, StoreNode Node, StoreNode? Parent)> { (path, node!, parent) };
        for (int i = 0; i < doomed.Count; i++)
        {
            foreach (string name in doomed[i].Node.Children)
            {
                string childPath = StorePath.Child(doomed[i].Path, name);
                if (space.Get(childPath) is { } child)
                {
                    doomed.Add((childPath, child, doomed[i].Node));
                }
            }
        }

        if (space.IsExhausted || parent is null)
        {
            return StoreError.ENOSPC;
        }

        space.Put(parentPath, parent with { Children = parent.Children.Remove(StorePath.Name(path)), Generation = space.NextGeneration() });
        for (int i = 0; i < doomed.Count; i++)
        {
            space.Put(doomed[i].Path, null);
            space.Changed(new StoreChange(doomed[i].Path, i > 0, doomed[i].Node, null, doomed[i].Parent));
        }

        return StoreError.None;
    }

    /// <summary>Replaces a node's permissions; only the owner may, and only domain 0 may give it to another owner.</summary>
    public static StoreError SetPermissions(NodeSpace space, ushort caller, string path, ImmutableArray<StorePermission> permissions)
    {
        StoreError error = Find(space, caller, path, StoreAccess.Write, out StoreNode? node);
        if (error != StoreError.None)
        {
            return error;
        }

        if (!node!.IsOwnedBy(caller))
        {
            return StoreError.EACCES;
        }

        if (caller != 0 && permissions[0].DomainId != node.Owner)
        {
            return StoreError.EPERM;
        }

        if (caller != 0 && permissions.Length > StoreLimits.Permissions)
        {
            return StoreError.ENOSPC;
        }

        return Replace(space, caller, path, node, node with { Permissions = permissions });
    }

    private static StoreError Replace(NodeSpace space, ushort caller, string path, StoreNode old, StoreNode node)
    {
        if (space.IsExhausted || (caller != 0 && node.Size >= StoreLimits.NodeSize))
        {
            return StoreError.ENOSPC;
        }

        node = node with { Generation = space.NextGeneration() };
        space.Put(path, node);
        space.Changed(new StoreChange(path, false, old, node, null));
        return StoreError.None;
    }

    // The caller has write access to the nearest existing node above.
    private static StoreError Create(NodeSpace space, ushort caller, string path, byte[] value)
    {
        StoreNode? above = NearestAbove(space, path, out string abovePath);
        if (above is null)
        {
            return space.IsExhausted ? StoreError.ENOSPC : StoreError.ENOENT;
        }

        // New nodes inherit the permissions of the one above; a guest owns what it makes.
        ImmutableArray<StorePermission> permissions = caller == 0
            ? above.Permissions
            : above.Permissions.SetItem(0, above.Permissions[0] with { DomainId = caller });
        int prefix = abovePath.Length == 1 ? 0 : abovePath.Length;
        string[] names = path[(prefix + 1)..].Split('/');
        var nodes = new StoreNode[names.Length];
        for (int i = 0; i < names.Length; i++)
        {
            bool last = i == names.Length - 1;
            nodes[i] = new StoreNode(last ? value : [], permissions, last ? [] : [names[i + 1]], space.NextGeneration());
        }

        StoreNode changed = above with { Children = above.Children.Add(names[0]), Generation = space.NextGeneration() };
        ushort owner = permissions[0].DomainId;
        if (space.IsExhausted
            || (caller != 0 && (changed.Size >= StoreLimits.NodeSize || nodes.Any(static node => node.Size >= StoreLimits.NodeSize)))
            || (caller != 0 && space.CountOwnedBy(owner) + names.Length > StoreLimits.Nodes))
        {
            return StoreError.ENOSPC;
        }

        space.Put(abovePath, changed);
        string current = abovePath;
        StoreNode parent = changed;
        for (int i = 0; i < names.Length; i++)
        {
            current = StorePath.Child(current, names[i]);
            space.Put(current, nodes[i]);
            if (i == names.Length - 1)
            {
                // One event: a watch on a parent that was made on the way hears of what is below it.
                space.Changed(new StoreChange(current, false, null, nodes[i], parent));
            }

            parent = nodes[i];
        }

        return StoreError.None;
    }

    private static StoreNode? NearestAbove(NodeSpace space, string path, out string above)
    {
        above = path;
        while (above.Length > 1)
        {
            above = StorePath.Parent(above);
            if (space.Get(above) is { } node)
            {
                return node;
            }

            if (space.IsExhausted)
            {
                return null;
            }
        }

        return null;
    }
}
