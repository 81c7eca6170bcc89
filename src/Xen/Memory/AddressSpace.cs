using Dbt.Translator.Memory;

namespace Dbt.Xen.Memory;

/// <summary>
/// The software TLB of one L3 table, and which tables its entries were resolved through. The invariant that coherence rests on: where the
/// TLB holds an entry of a 2-MiB range, <see cref="L1Of"/> names the table that was walked at the last level there, and
/// <see cref="L2Of"/> the one above; and both tables list this space among their uses.
/// </summary>
internal sealed class AddressSpace(int index, uint root, SoftwareTlb tlb)
{
    /// <summary>2-MiB ranges of a 4-GiB space.</summary>
    public const int Ranges = 2048;

    /// <summary>Slot in <see cref="AddressSpaces"/>.</summary>
    public int Index { get; } = index;

    /// <summary>L3 frame.</summary>
    public uint Root { get; } = root;

    public SoftwareTlb Tlb { get; } = tlb;

    /// <summary>Last-level table per 2-MiB range; 0 where nothing was resolved.</summary>
    public uint[] L1Of { get; } = new uint[Ranges];

    /// <summary>L2 table per GiB; 0 where nothing was resolved.</summary>
    public uint[] L2Of { get; } = new uint[4];

    /// <summary>Processors whose base pointer this is.</summary>
    public int Processors { get; set; }

    /// <summary>Bytes of <see cref="Tlb"/> that are in the sum of all spaces.</summary>
    public long AccountedBytes { get; set; }

    /// <summary>Order of last activation.</summary>
    public long Stamp { get; set; }
}
