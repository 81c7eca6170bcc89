using Dbt.Xen.Abi;

namespace Dbt.Xen.Grants;

/// <summary>Flags of a grant entry (public/grant_table.h, GTF_*), in the low half of its first word; the high half names the domain that it is for.</summary>
internal static class GrantFlags
{
    /// <summary>Types: nothing, access to a page, a page to be given away, another domain's grant passed on (version 2).</summary>
    public const uint Invalid = 0, PermitAccess = 1, AcceptTransfer = 2, Transitive = 3, TypeMask = 3;

    /// <summary>Rights, and what is under way.</summary>
    public const uint ReadOnly = 1 << 2, Reading = 1 << 3, Writing = 1 << 4;

    /// <summary>A part of a page alone, to copy (version 2).</summary>
    public const uint SubPage = 1 << 8;
}

/// <summary>struct grant_entry_v1, 8 bytes: flags and domid as one word, so that they change together.</summary>
internal struct GrantEntry1
{
    /// <summary>Entries of one frame.</summary>
    public const int PerFrame = Layout.PageSize / 8;

    public uint Header, Frame;
}

/// <summary>union grant_entry_v2, 16 bytes. What is in use stands apart, in the status frames.</summary>
internal struct GrantEntry2
{
    /// <summary>Entries of one frame, and entries whose status is in one status frame.</summary>
    public const int PerFrame = Layout.PageSize / 16, PerStatusFrame = Layout.PageSize / 2;

    /// <summary>Header; offset and length of a part, or the domain of a grant that is passed on; frame, or that domain's reference.</summary>
    public uint Header, Detail;

    public ulong Frame;
}
