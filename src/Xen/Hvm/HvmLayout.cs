using Dbt.Xen.Builder;

namespace Dbt.Xen.Hvm;

/// <summary>
/// Where everything lies in a PVH domain's guest-physical memory at its start: RAM from 0 on, below 4 GiB up to the hole; the kernel where
/// its file says; behind it start info and ramdisk; ACPI tables and special pages in the hole. Start info is next to the kernel because
/// i386 Linux reads it through its first page tables, which reach some 2 MiB beyond its end: behind a large ramdisk it would be out of reach.
/// </summary>
internal sealed class HvmLayout
{
    /// <summary>ACPI tables (ACPI_INFO_PHYSICAL_ADDRESS).</summary>
    public const uint AcpiAddress = 0xFC000000, AcpiBytes = 0x2000;

    /// <summary>Special pages: eight below 0xFEFFF000 + 0x1000, of which a PVH guest has two (X86_HVM_NR_SPECIAL_PAGES, special_pfn).</summary>
    public const uint FirstSpecialGfn = 0xFEFF8, SpecialPages = 8, StoreGfn = FirstSpecialGfn + 4, ConsoleGfn = FirstSpecialGfn + 7;

    // Where RAM below 4 GiB ends at most; the rest goes on at 4 GiB.
    private const ulong HoleStart = 0xF0000000, FourGiB = 1UL << 32;
    private const ulong BytesPerMiB = 1 << 20;

    private HvmLayout()
    {
    }

    /// <summary>Bytes of RAM below 4 GiB.</summary>
    public ulong LowBytes { get; private init; }

    /// <summary>Bytes of RAM from 4 GiB on.</summary>
    public ulong HighBytes { get; private init; }

    /// <summary>First byte of the ramdisk.</summary>
    public uint Ramdisk { get; private init; }

    /// <summary>hvm_start_info, and what it points to.</summary>
    public uint StartInfo { get; private init; }

    /// <summary>The memory map that the guest is told.</summary>
    public IReadOnlyList<MemoryRange> MemoryMap { get; private init; } = [];

    /// <summary>Lays a domain out.</summary>
    /// <exception cref="DomainBuildException">The memory is too small.</exception>
    public static HvmLayout Compute(HvmImage kernel, int ramdiskBytes, int memoryMiB)
    {
        ulong all = (ulong)memoryMiB * BytesPerMiB, low = Math.Min(all, HoleStart);
        ulong startInfo = (kernel.End + 0xFFF) & ~0xFFFUL;
        ulong ramdisk = startInfo + HvmStartInfo.MaxBytes;
        ulong end = ramdisk + (ulong)ramdiskBytes;
        if (end > low)
        {
            throw new DomainBuildException(
                $"memory={memoryMiB} is too little: kernel, ramdisk and start info need {(end + BytesPerMiB - 1) / BytesPerMiB} MiB");
        }

        var map = new List<MemoryRange>
        {
            new(0, low, MemoryRange.Ram),
            new(AcpiAddress, AcpiBytes, MemoryRange.Acpi),
            new((ulong)FirstSpecialGfn << 12, SpecialPages << 12, MemoryRange.Reserved),
        };
        if (all > low)
        {
            map.Add(new MemoryRange(FourGiB, all - low, MemoryRange.Ram));
        }

        return new HvmLayout { LowBytes = low, HighBytes = all - low, Ramdisk = (uint)ramdisk, StartInfo = (uint)startInfo, MemoryMap = map };
    }
}
