using System.Collections.Immutable;

namespace Dbt.Devices.Store;

/// <summary>One node, immutable: any change makes a new one, so that two references tell whether it was touched.</summary>
internal sealed record StoreNode(byte[] Value, ImmutableArray<StorePermission> Permissions, ImmutableArray<string> Children, ulong Generation)
{
    /// <summary>The owner's domain id.</summary>
    public ushort Owner => Permissions[0].DomainId;

    /// <summary>Bytes that count against <see cref="StoreLimits.NodeSize"/>, as Xen's daemon stores a node.</summary>
    public int Size
    {
        get
        {
            int size = 24 + (Permissions.Length * 8) + Value.Length;
            foreach (string child in Children)
            {
                size += child.Length + 1;
            }

            return size;
        }
    }

    /// <summary>Whether a domain may do what an owner may. Domain 0 may everywhere.</summary>
    public bool IsOwnedBy(ushort domain) => domain == 0 || Owner == domain;

    /// <summary>Whether a domain has all of an access.</summary>
    public bool Permits(ushort domain, StoreAccess access)
    {
        if (IsOwnedBy(domain))
        {
            return true;
        }

        StoreAccess granted = Permissions[0].Access;
        for (int i = 1; i < Permissions.Length; i++)
        {
            if (Permissions[i].DomainId == domain)
            {
                granted = Permissions[i].Access;
                break;
            }
        }

        return (granted & access) == access;
    }
}
