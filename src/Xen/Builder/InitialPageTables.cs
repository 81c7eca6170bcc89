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
    private const int LastGigabyte = 3;

    /// <summary>Writes them.</summary>
    public static void Write(StartOfDayLayout layout, GuestFrames frames)
    {
        uint next = layout.PageTablePfn;
        uint tablesEnd = layout.PageTablePfn + layout.PageTableCount;
        Span<ulong> l3 = frames.Table(next++);
        Span<uint> l2Pfns = stackalloc uint[LastGigabyte + 1];
        (int first, int last) = layout.MappedGigabytes;
        for (int gigabyte = 0; gigabyte <= LastGigabyte; gigabyte++)
        {
            if ((gigabyte >= first && gigabyte <= last) || gigabyte == LastGigabyte)
            {
                l2Pfns[gigabyte] = next++;
                l3[gigabyte] = Entry(frames.P2m[l2Pfns[gigabyte]], L3Flags);
            }
        }

        uint l1Pfn = 0;
        for (ulong address = layout.VirtBase; address < layout.MappedEnd; address += 4096)
        {
            int l1Index = (int)(address >> 12) & 511;
            if (address == layout.VirtBase || l1Index == 0)
            {
                l1Pfn = next++;
                frames.Table(l2Pfns[(int)(address >> 30)])[(int)(address >> 21) & 511] = Entry(frames.P2m[l1Pfn], L2Flags);
            }

            uint pfn = (uint)((address - layout.VirtBase) >> 12);
            bool isTable = pfn >= layout.PageTablePfn && pfn < tablesEnd;
            frames.Table(l1Pfn)[l1Index] = Entry(frames.P2m[pfn], isTable ? L1Flags & ~Writable : L1Flags);
        }

        System.Diagnostics.Debug.Assert(next == tablesEnd, "as many tables as were counted");
    }

    private static ulong Entry(uint mfn, ulong flags) => ((ulong)mfn << 12) | flags;
}
