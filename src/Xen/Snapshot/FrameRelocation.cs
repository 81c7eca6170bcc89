using Dbt.Xen.Abi;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Snapshot;

/// <summary>
/// A suspended paravirtual guest gets other machine frames than it had. Where its tables have the old ones they get the new: what Xen's tools do by making
/// frame numbers of a saved guest pseudo-physical, and machine frames again when it is restored. A frame is rewritten once, and only before it has a type:
/// what makes a table of it afterwards checks all of it.
/// </summary>
/// <param name="domain">The guest.</param>
internal sealed unsafe class FrameRelocation(Domain domain)
{
    private const int EntriesOfL3 = 4, EntriesOfTable = 512, WordsOfPage = Layout.PageSize / sizeof(uint);

    private readonly HashSet<uint> _taken = [];

    /// <summary>Where its pages lie.</summary>
    public FrameNumbers Numbers { get; } = new();

    /// <summary>
    /// Rewrites page tables and all that they lead to. An entry that leads to none of the guest's own pages becomes absent: shared_info and the grant
    /// table are others now, and a guest that suspends has unmapped them.
    /// </summary>
    /// <param name="roots">Tables, by their frames here.</param>
    public void RewriteTables(IEnumerable<(uint Mfn, PageType Type)> roots)
    {
        List<uint>[] levels = [[], [], [], []];
        foreach ((uint mfn, PageType type) in roots)
        {
            Take(mfn, levels[(int)type]);
        }

        // The highest first: a table that is met as a page of a linear mapping too is one of the higher level.
        for (int level = (int)PageType.L3; level >= (int)PageType.L1; level--)
        {
            foreach (uint mfn in levels[level])
            {
                RewriteTable(mfn, level == (int)PageType.L3 ? EntriesOfL3 : EntriesOfTable, level == (int)PageType.L1 ? null : levels[level - 1]);
            }
        }
    }

    /// <summary>Rewrites the p2m, and the lists of frames by which the guest says where it is (shared_info.arch.pfn_to_mfn_frame_list_list).</summary>
    /// <param name="listList">The frame of the list of lists, where it was.</param>
    /// <param name="pages">How many pages there are in the p2m (max_pfn).</param>
    /// <returns>The list of lists' frame here; 0 where the guest has no such page.</returns>
    public uint RewriteP2m(uint listList, uint pages)
    {
        List<uint> listLists = [], lists = [], frames = [];
        Take(Numbers[listList], listLists);
        listLists.ForEach(mfn => RewriteWords(mfn, (int)Math.Min((pages / WordsOfPage / WordsOfPage) + 1, WordsOfPage), lists));
        lists.ForEach(mfn => RewriteWords(mfn, WordsOfPage, frames));
        frames.ForEach(mfn => RewriteWords(mfn, WordsOfPage, null));
        return Numbers[listList];
    }

    private void RewriteTable(uint mfn, int count, List<uint>? lower)
    {
        foreach (ref ulong entry in new Span<ulong>(domain.Hypervisor.Machine.Frame(mfn), count))
        {
            if (!PageTableEntry.IsPresent(entry))
            {
                continue;
            }

            ulong was = PageTableEntry.Frame(entry);
            uint now = was > uint.MaxValue ? 0 : Numbers[(uint)was];
            entry = now == 0 ? 0 : (entry & ~PageTableEntry.FrameMask) | ((ulong)now << 12);
            if (lower is not null)
            {
                Take(now, lower);
            }
        }
    }

    // What is no frame of the guest's stays: marks of pages that aren't there.
    private void RewriteWords(uint mfn, int count, List<uint>? lower)
    {
        foreach (ref uint word in new Span<uint>(domain.Hypervisor.Machine.Frame(mfn), count))
        {
            uint now = Numbers[word];
            word = now == 0 ? word : now;
            if (lower is not null)
            {
                Take(now, lower);
            }
        }
    }

    private void Take(uint mfn, List<uint> list)
    {
        if (mfn != 0 && domain.Memory.IsUntyped(mfn) && _taken.Add(mfn))
        {
            list.Add(mfn);
        }
    }
}
