using Dbt.Xen.Memory;

namespace Dbt.Xen.Builder;

/// <summary>
/// The page tables that a guest starts with, in PAE format (SDM vol. 3, 4.4): L3, the L2 tables of the mapped GiBs and of the last one,
/// then the L1 tables in ascending order. All is mapped read-write but the tables themselves.
/// </summary>
internal static class InitialPageTables
{
    private const ulong Present = 1, Writable = 2, User = 4, Accessed = 0x20, Dirty = 0x40;

    // What Xen's own builder writes.
    private const ulong L1Flags = Present | Writable | Accessed, L2Flags = Present | Writable | User | Accessed | Dirty, L3Flags = Present;
    private const uint LastGigabyte = 3u << 30;

    /// <summary>Writes them.</summary>
    public static void Write(StartOfDayLayout layout, GuestFrames frames)
    {
        var tables = new NewTables(layout, frames);
        var nothing = new UpperTables();
        var pages = new Pages(layout, frames);
        ulong mapped = layout.MappedEnd - layout.VirtBase;

        // Level by level, because the tables of a level lie together; the last gigabyte has a level-2 table in any case.
        PageRangeEnd end = PageRange.Apply(ref tables, layout.VirtBase, mapped, level: 2, ref nothing);
        end = end == PageRangeEnd.Done ? PageRange.Apply(ref tables, LastGigabyte, 1, level: 2, ref nothing) : end;
        end = end == PageRangeEnd.Done ? PageRange.Apply(ref tables, layout.VirtBase, mapped, level: 1, ref pages) : end;
        if (end != PageRangeEnd.Done || !tables.AllAreUsed)
        {
            throw new InvalidOperationException($"the initial page tables end {end}, with another number of tables than was counted");
        }
    }

    private static ulong Entry(uint mfn, ulong flags) => ((ulong)mfn << 12) | flags;

    /// <summary>Takes the frames that the layout has for tables, one after the other; the first is the L3.</summary>
    private struct NewTables(StartOfDayLayout layout, GuestFrames frames) : IPageTables
    {
        private uint _next = layout.PageTablePfn + 1;

        public readonly bool AllAreUsed => _next == layout.PageTablePfn + layout.PageTableCount;

        public readonly PagingMode Mode => PagingMode.Pae;

        public readonly bool HasLargePages => false;

        public readonly ulong Root => (ulong)frames.P2m[layout.PageTablePfn] << 12;

        public readonly uint Last => uint.MaxValue;

        public readonly bool MakesTables => true;

        public readonly unsafe byte* Entry(ulong physical) => frames.Host(physical);

        public bool TryMakeTable(in PageTableSlot slot)
        {
            if (AllAreUsed)
            {
                return false;
            }

            slot.Write(InitialPageTables.Entry(frames.P2m[_next++], slot.Level == 3 ? L3Flags : L2Flags));
            return true;
        }
    }

    /// <summary>Level-2 entries stay empty until their tables are made.</summary>
    private struct UpperTables : IPageTableVisitor
    {
        public readonly bool Visit(in PageTableSlot slot) => true;
    }

    /// <summary>Maps each page to its own frame.</summary>
    private readonly struct Pages(StartOfDayLayout layout, GuestFrames frames) : IPageTableVisitor
    {
        public bool Visit(in PageTableSlot slot)
        {
            uint pfn = (slot.Linear - layout.VirtBase) >> 12;
            bool isTable = pfn >= layout.PageTablePfn && pfn < layout.PageTablePfn + layout.PageTableCount;
            slot.Write(Entry(frames.P2m[pfn], isTable ? L1Flags & ~Writable : L1Flags));
            return true;
        }
    }
}
