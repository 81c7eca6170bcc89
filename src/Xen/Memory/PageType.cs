namespace Dbt.Xen.Memory;

/// <summary>
/// What a frame is used as. A frame has one type at a time, counted; it changes only while the count is 0, and that is what keeps a
/// guest from holding a page both as a page table and writable.
/// </summary>
public enum PageType : byte
{
    /// <summary>No type: mapped read-only at most.</summary>
    None = 0,

    /// <summary>A page table whose entries map pages.</summary>
    L1 = 1,

    /// <summary>A page directory.</summary>
    L2 = 2,

    /// <summary>A page-directory-pointer table, the root under PAE.</summary>
    L3 = 3,

    /// <summary>A page of a GDT or LDT.</summary>
    Descriptor = 5,

    /// <summary>Mapped writable somewhere.</summary>
    Writable = 7,
}
