using System.Globalization;

namespace Dbt.Devices.Store;

/// <summary>What a permission grants.</summary>
[Flags]
public enum StoreAccess
{
    /// <summary>Nothing (n).</summary>
    None = 0,

    /// <summary>Reading (r).</summary>
    Read = 1,

    /// <summary>Writing (w).</summary>
    Write = 2,

    /// <summary>Both (b).</summary>
    Both = 3,
}

/// <summary>
/// One entry of a node's permissions. The first entry names the owner, who may do everything, and what all domains that are not
/// named by a later entry may do.
/// </summary>
/// <param name="DomainId">The domain.</param>
/// <param name="Access">What it may do.</param>
public readonly record struct StorePermission(ushort DomainId, StoreAccess Access)
{
    /// <summary>The wire's text, for instance <c>r1</c>.</summary>
    public override string ToString() => "nrwb"[(int)Access].ToString() + DomainId.ToString(CultureInfo.InvariantCulture);

    /// <summary>Parses the wire's text.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out StorePermission permission)
    {
        permission = default;
        int access = text.IsEmpty ? -1 : "nrwb".IndexOf(text[0], StringComparison.Ordinal);
        if (access < 0 || !ushort.TryParse(text[1..], NumberStyles.None, CultureInfo.InvariantCulture, out ushort domain))
        {
            return false;
        }

        permission = new StorePermission(domain, (StoreAccess)access);
        return true;
    }
}
