using System.Collections.Immutable;
using Dbt.Xen.Abi;
using Dbt.Xen.Snapshot;

namespace Dbt.Devices.Store;

/// <content>Going on elsewhere: a domain's nodes, which are several trees.</content>
public sealed partial class XenStore
{
    private const int MostNodes = 1 << 14, NodeBytes = 13;

    /// <summary>Writes the nodes of some trees with their permissions, each node before those below it, in the order in which they were made.</summary>
    /// <param name="writer">The section.</param>
    /// <param name="domain">Whose they are: his id is written as DOMID_SELF.</param>
    /// <param name="roots">The trees; one that isn't there is left out.</param>
    /// <param name="toGuest">What a value that is a path is for the guest.</param>
    internal void CaptureNodes(SectionWriter writer, ushort domain, IReadOnlyList<string> roots, Func<byte[], byte[]> toGuest)
    {
        var nodes = new List<(int Root, string Path, StoreNode Node)>();
        lock (_lock)
        {
            for (int root = 0; root < roots.Count; root++)
            {
                int first = nodes.Count;
                Collect(root, roots[root]);
                for (int i = first; i < nodes.Count; i++)
                {
                    foreach (string name in nodes[i].Node.Children)
                    {
                        Collect(root, StorePath.Child(nodes[i].Path, name));
                    }
                }
            }
        }

        writer.UInt32((uint)nodes.Count);
        foreach ((int root, string path, StoreNode node) in nodes)
        {
            writer.Byte((byte)root);
            writer.Text(path[roots[root].Length..]);
            writer.Block(toGuest(node.Value));
            writer.UInt32((uint)node.Permissions.Length);
            foreach (StorePermission permission in node.Permissions)
            {
                writer.UInt16(permission.DomainId == domain ? Layout.DomidSelf : permission.DomainId);
                writer.Byte((byte)permission.Access);
            }
        }

        void Collect(int root, string path)
        {
            if (_live.Get(path) is { } node)
            {
                nodes.Add((root, path, node));
            }
        }
    }

    /// <summary>Makes the nodes of some trees. Who isn't the domain itself or domain 0 is another one here, and left out of their permissions.</summary>
    /// <param name="reader">The section.</param>
    /// <param name="domain">Whose they are.</param>
    /// <param name="roots">The trees, in the same order; their ends may be others.</param>
    /// <param name="translate">What a value that is a path becomes.</param>
    internal void RestoreNodes(SectionReader reader, ushort domain, IReadOnlyList<string> roots, Func<string, string> translate)
    {
        int count = reader.Count(MostNodes, NodeBytes, "nodes");
        for (int i = 0; i < count; i++)
        {
            int root = reader.Byte();
            string path = reader.Text(StoreLimits.AbsolutePath);
            byte[] value = reader.Block(StoreLimits.Payload).ToArray();
            ImmutableArray<StorePermission> permissions = ReadPermissions(reader, domain);
            if (root >= roots.Count || (path.Length != 0 && path[0] != '/') || !StorePath.IsValid(roots[root] + path))
            {
                throw reader.Error("a node has no path");
            }

            if (value.AsSpan().StartsWith("/local/domain/"u8))
            {
                value = System.Text.Encoding.Latin1.GetBytes(translate(System.Text.Encoding.Latin1.GetString(value)));
            }

            path = roots[root] + path;
            Change(space => NodeOperations.Write(space, 0, path, value));
            Change(space => NodeOperations.SetPermissions(space, 0, path, permissions));
        }
    }

    private static ImmutableArray<StorePermission> ReadPermissions(SectionReader reader, ushort domain)
    {
        int count = reader.Count(StoreLimits.Permissions * 4, 3, "permissions");
        ImmutableArray<StorePermission>.Builder permissions = ImmutableArray.CreateBuilder<StorePermission>(count);
        for (int i = 0; i < count; i++)
        {
            ushort id = reader.UInt16();
            byte access = reader.Byte();
            if (access > (byte)StoreAccess.Both || (i == 0 && id is not (0 or Layout.DomidSelf)))
            {
                throw reader.Error("a node belongs to another domain, or permits what there isn't");
            }

            if (id is 0 or Layout.DomidSelf)
            {
                permissions.Add(new StorePermission(id == 0 ? id : domain, (StoreAccess)access));
            }
        }

        return permissions.Count != 0 ? permissions.DrainToImmutable() : throw reader.Error("a node has no owner");
    }
}
