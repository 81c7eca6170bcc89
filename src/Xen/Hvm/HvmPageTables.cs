using Dbt.Translator.State;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Hvm;

/// <summary>
/// The page tables of a translated domain's processor, by its control registers: they are the guest's own, and hold what it likes. Nothing is
/// made or marked. With PAE the top entries are read from memory, where the processor has had its copy since CR3 was loaded.
/// </summary>
internal readonly unsafe struct HvmPageTables(HvmProcessor processor, CpuState* cpu) : IPageTables
{
    private const uint PagingEnabled = 1u << 31, PhysicalAddressExtension = 1 << 5, PageSizeExtension = 1 << 4;

    /// <summary>Whether linear addresses are translated at all.</summary>
    public bool IsPaging => (cpu->Cr0 & PagingEnabled) != 0;

    /// <inheritdoc/>
    public PagingMode Mode => (cpu->Cr4 & PhysicalAddressExtension) != 0 ? PagingMode.Pae : PagingMode.TwoLevel;

    /// <inheritdoc/>
    public bool HasLargePages => Mode == PagingMode.Pae || (cpu->Cr4 & PageSizeExtension) != 0;

    /// <inheritdoc/>
    public ulong Root => cpu->Cr3 & (Mode == PagingMode.Pae ? ~0x1Fu : ~0xFFFu);

    /// <inheritdoc/>
    public uint Last => uint.MaxValue;

    /// <inheritdoc/>
    public bool MakesTables => false;

    /// <inheritdoc/>
    public byte* Entry(ulong physical) => processor.TryPhysical(physical, out byte* host) ? host : null;

    /// <inheritdoc/>
    public bool TryMakeTable(in PageTableSlot slot) => false;
}
