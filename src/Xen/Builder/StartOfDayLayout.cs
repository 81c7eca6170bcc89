using Dbt.Xen.Abi;

namespace Dbt.Xen.Builder;

/// <summary>
/// Where everything lies when a PV guest starts (public/xen.h, "Start-of-day memory layout"). Virtual address = virtual base + PFN * 4096
/// throughout; the initial mapping goes from the base to <see cref="MappedEnd"/>.
/// </summary>
internal sealed record StartOfDayLayout
{
    // The region ends on a 4-MiB boundary, with at least 512 KiB behind the last element.
    private const ulong RegionAlignment = 4 << 20, LeastPadding = 512 << 10;
    private const int MegabytePages = 256, EntriesPerTable = 512, TablesPerL3 = 4;

    /// <summary>Virtual address of PFN 0.</summary>
    public required uint VirtBase { get; init; }

    /// <summary>Frames of the domain.</summary>
    public required uint PageCount { get; init; }

    /// <summary>First frame of the ramdisk; 0 frames where there is none.</summary>
    public uint RamdiskPfn { get; private init; }

    /// <summary>Whether the ramdisk lies outside the initial mapping, so that start_info tells its PFN instead of its address.</summary>
    public bool RamdiskUnmapped { get; private init; }

    /// <summary>First frame of the list of the domain's frames.</summary>
    public uint P2mPfn { get; private init; }

    /// <summary>Frame of start_info.</summary>
    public uint StartInfoPfn { get; private init; }

    /// <summary>Frame of the xenstore ring.</summary>
    public uint StorePfn { get; private init; }

    /// <summary>Frame of the console ring.</summary>
    public uint ConsolePfn { get; private init; }

    /// <summary>First page-table frame, the L3 table; the L2 and L1 tables follow.</summary>
    public uint PageTablePfn { get; private init; }

    /// <summary>Page-table frames.</summary>
    public uint PageTableCount { get; private init; }

    /// <summary>Frame of the stack, of one page.</summary>
    public uint StackPfn { get; private init; }

    /// <summary>One past the last mapped virtual address, up to 4 GiB.</summary>
    public ulong MappedEnd { get; private init; }

    /// <summary>Index in the L3 table of the first and the last mapped GiB.</summary>
    public (int First, int Last) MappedGigabytes => ((int)(VirtBase >> 30), (int)((MappedEnd - 1) >> 30));

    /// <summary>The virtual address of a frame in the initial mapping.</summary>
    public uint AddressOf(uint pfn) => VirtBase + (pfn << 12);

    /// <summary>Lays a domain out.</summary>
    /// <exception cref="DomainBuildException">Too little memory, or it doesn't fit below the hypervisor.</exception>
    public static StartOfDayLayout Compute(KernelImage kernel, int ramdiskBytes, uint pageCount)
    {
        uint next = PagesOf(kernel.End - kernel.VirtBase);
        uint ramdiskPages = PagesOf((uint)ramdiskBytes), ramdisk = 0;
        bool unmapped = ramdiskPages > 0 && kernel.Parameters.ModStartPfn;
        if (ramdiskPages > 0 && !unmapped)
        {
            ramdisk = Take(ramdiskPages);
        }

        uint p2m = Take(PagesOf(pageCount * sizeof(uint)));
        uint startInfo = Take(1), store = Take(1), console = Take(1);
        uint tables = next;
        ulong end = MappingEnd(kernel.VirtBase, next, out uint tableCount);
        next += tableCount;
        uint stack = Take(1);
        ulong needed = (end - kernel.VirtBase) >> 12;
        if (unmapped)
        {
            ramdisk = (uint)needed;
            needed += ramdiskPages;
        }

        if (end > Layout.HypervisorStart)
        {
            throw new DomainBuildException(
                $"kernel and ramdisk need addresses up to 0x{end:x8}, above 0x{Layout.HypervisorStart:x8} where the hypervisor begins; use a smaller ramdisk or less memory");
        }

        if (needed > pageCount)
        {
            throw new DomainBuildException(
                $"too little memory: {pageCount / MegabytePages} MiB, but kernel, ramdisk and page tables need {(needed + MegabytePages - 1) / MegabytePages} MiB");
        }

        return new StartOfDayLayout
        {
            VirtBase = kernel.VirtBase,
            PageCount = pageCount,
            RamdiskPfn = ramdisk,
            RamdiskUnmapped = unmapped,
            P2mPfn = p2m,
            StartInfoPfn = startInfo,
            StorePfn = store,
            ConsolePfn = console,
            PageTablePfn = tables,
            PageTableCount = tableCount,
            StackPfn = stack,
            MappedEnd = end,
        };

        uint Take(uint pages)
        {
            uint first = next;
            next += pages;
            return first;
        }
    }

    /// <summary>
    /// Finds the end of the mapping, which the number of page tables depends on, which depends on the mapping.
    /// </summary>
    private static ulong MappingEnd(uint virtBase, uint usedPages, out uint tableCount)
    {
        ulong used = virtBase + ((ulong)usedPages << 12);
        for (ulong end = RoundUp(used); ; end += RegionAlignment)
        {
            tableCount = TableCount(virtBase, end);
            ulong stackEnd = used + ((ulong)(tableCount + 1) << 12);
            if (stackEnd + LeastPadding <= end)
            {
                return end;
            }
        }
    }

    private static uint TableCount(uint virtBase, ulong end)
    {
        const ulong l1Covers = EntriesPerTable << 12, l2Covers = l1Covers * EntriesPerTable;
        uint l1 = (uint)(((end - 1) / l1Covers) - (virtBase / l1Covers) + 1);
        uint l2 = (uint)(((end - 1) / l2Covers) - (virtBase / l2Covers) + 1);
        if ((end - 1) / l2Covers < TablesPerL3 - 1)
        {
            l2++; // the last GiB has an L2 table always: the hypervisor's own entries are there
        }

        return 1 + l2 + l1;
    }

    private static ulong RoundUp(ulong address) => (address + RegionAlignment - 1) & ~(RegionAlignment - 1);

    private static uint PagesOf(uint bytes) => (uint)(((ulong)bytes + 0xFFF) >> 12);
}
