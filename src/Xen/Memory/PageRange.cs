namespace Dbt.Xen.Memory;

/// <summary>The tables that a range is looked up in, and what makes more of them.</summary>
internal unsafe interface IPageTables
{
    /// <summary>Their layout.</summary>
    PagingMode Mode { get; }

    /// <summary>Whether a level-2 entry may map memory itself.</summary>
    bool HasLargePages { get; }

    /// <summary>Address of the first entry of the top table, in the numbers that entries hold.</summary>
    ulong Root { get; }

    /// <summary>Last linear address that may be asked for.</summary>
    uint Last { get; }

    /// <summary>Where an entry lies; null where no table is there that may be looked into.</summary>
    byte* Entry(ulong physical);

    /// <summary>Makes an empty table and lets an entry that isn't present lead to it.</summary>
    /// <returns>False where there are no tables to be made, or none is left.</returns>
    bool TryMakeTable(in PageTableSlot slot);

    /// <summary>Whether tables are made where there are none.</summary>
    bool MakesTables { get; }
}

/// <summary>What is done with each entry.</summary>
internal interface IPageTableVisitor
{
    /// <summary>Takes an entry, present or not.</summary>
    /// <returns>False to look at no more.</returns>
    bool Visit(in PageTableSlot slot);
}

/// <summary>How <see cref="PageRange.Apply"/> ended.</summary>
internal enum PageRangeEnd
{
    /// <summary>All was visited.</summary>
    Done,

    /// <summary>The visitor wanted no more.</summary>
    Stopped,

    /// <summary>A table couldn't be made. What was visited, and made, before it stays.</summary>
    NoTable,

    /// <summary>The range goes beyond what may be asked for, or beyond 4 GiB; nothing was visited.</summary>
    OutOfRange,
}

/// <summary>
/// The one walk through page tables by range (Xen's and Linux' apply_to_page_range): for each entry of a level that stands for part of the range, in order
/// of addresses. It reads each table once and takes no more than one turn for each entry, so a guest's tables can't keep it. It takes no locks: whoever owns
/// the tables holds the one that keeps them as they are.
/// </summary>
internal static unsafe class PageRange
{
    /// <summary>Visits the entries of a range.</summary>
    /// <param name="tables">The tables.</param>
    /// <param name="start">First linear address; the entry that it lies in counts whole.</param>
    /// <param name="bytes">Length; 0 is an empty range.</param>
    /// <param name="level">
    /// The level whose entries are visited: 1 for pages, where a large page is visited once, as the level-2 entry that it is. Where a table is absent, so
    /// are its entries, unless tables are made.
    /// </param>
    /// <param name="visitor">What is done with each.</param>
    public static PageRangeEnd Apply<TTables, TVisitor>(ref TTables tables, uint start, ulong bytes, int level, ref TVisitor visitor)
        where TTables : struct, IPageTables
        where TVisitor : struct, IPageTableVisitor
    {
        if (bytes == 0)
        {
            return PageRangeEnd.Done;
        }

        // Both are below 2^33, or the length alone is too much: nothing wraps.
        if (bytes > 1UL << 32 || start + (bytes - 1) > tables.Last)
        {
            return PageRangeEnd.OutOfRange;
        }

        return ApplyToTable(ref tables, tables.Root, PageTableSlot.Levels(tables.Mode), start, start + (bytes - 1), level, ref visitor);
    }

    private static PageRangeEnd ApplyToTable<TTables, TVisitor>(ref TTables tables, ulong table, int at, ulong first, ulong last, int level, ref TVisitor visitor)
        where TTables : struct, IPageTables
        where TVisitor : struct, IPageTableVisitor
    {
        PagingMode mode = tables.Mode;
        int shift = PageTableSlot.Shift(mode, at), size = PageTableSlot.EntryBytes(mode);
        uint mask = at == 3 ? 3u : mode == PagingMode.Pae ? 511u : 1023u;
        for (ulong number = first >> shift; number <= last >> shift; number++)
        {
            ulong physical = table + ((number & mask) * (uint)size);
            byte* entry = tables.Entry(physical);
            if (entry == null)
            {
                // No entry of this table is there.
                return PageRangeEnd.Done;
            }

            var slot = new PageTableSlot(mode, at, (uint)(number << shift), physical, entry);
            PageRangeEnd end = at == level
                ? visitor.Visit(in slot) ? PageRangeEnd.Done : PageRangeEnd.Stopped
                : Descend(ref tables, in slot, Math.Max(first, number << shift), Math.Min(last, ((number + 1) << shift) - 1), level, ref visitor);
            if (end != PageRangeEnd.Done)
            {
                return end;
            }
        }

        return PageRangeEnd.Done;
    }

    private static PageRangeEnd Descend<TTables, TVisitor>(ref TTables tables, in PageTableSlot slot, ulong first, ulong last, int level, ref TVisitor visitor)
        where TTables : struct, IPageTables
        where TVisitor : struct, IPageTableVisitor
    {
        ulong value = slot.Value;
        if (!PageTableEntry.IsPresent(value))
        {
            if (!tables.MakesTables)
            {
                return PageRangeEnd.Done;
            }

            if (!tables.TryMakeTable(in slot))
            {
                return PageRangeEnd.NoTable;
            }

            value = slot.Value;
        }

        if (tables.HasLargePages && slot.Level == 2 && (value & PageTableEntry.LargePage) != 0)
        {
            return visitor.Visit(in slot) ? PageRangeEnd.Done : PageRangeEnd.Stopped;
        }

        ulong table = tables.Mode == PagingMode.Pae ? value & PageTableEntry.FrameMask : value & 0xFFFFF000;
        return ApplyToTable(ref tables, table, slot.Level - 1, first, last, level, ref visitor);
    }
}
