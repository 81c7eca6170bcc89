namespace Dbt.Xen.Hvm;

/// <summary>A range of the guest-physical address space as the guest is told of it (struct hvm_memmap_table_entry, XENMEM_memory_map).</summary>
/// <param name="Start">First byte.</param>
/// <param name="Bytes">Length.</param>
/// <param name="Type">XEN_HVM_MEMMAP_TYPE_*.</param>
internal readonly record struct MemoryRange(ulong Start, ulong Bytes, uint Type)
{
    public const uint Ram = 1, Reserved = 2, Acpi = 3;
}

/// <summary>What an auto-translated domain (PVH) has and a paravirtual one has not.</summary>
internal sealed partial class HvmDomain(Domain domain) : IDisposable
{
    /// <summary>The guest-physical address space.</summary>
    public Physmap Physmap { get; } = new(domain);

    /// <summary>HVM_PARAM_*.</summary>
    public HvmParameters Parameters { get; } = new();

    /// <summary>What the guest was told of its memory.</summary>
    public IReadOnlyList<MemoryRange> MemoryMap { get; set; } = [];

    /// <inheritdoc/>
    public void Dispose() => Physmap.Dispose();
}
