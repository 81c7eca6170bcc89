using Dbt.Xen.Builder;

namespace Dbt.Xen.Hvm;

/// <summary>A kernel to be started by PVH: loaded at its physical addresses, entered at its PHYS32_ENTRY note without paging.</summary>
internal sealed class HvmImage
{
    private HvmImage(ElfImage elf, KernelParameters parameters, IReadOnlyList<ElfSegment> loads)
    {
        Elf = elf;
        Parameters = parameters;
        Loads = loads;
    }

    /// <summary>The file.</summary>
    public ElfImage Elf { get; }

    /// <summary>The kernel's own description.</summary>
    public KernelParameters Parameters { get; }

    /// <summary>Segments to load, none of which overlap.</summary>
    public IReadOnlyList<ElfSegment> Loads { get; }

    /// <summary>Guest-physical entry point.</summary>
    public uint Entry => Parameters.Phys32Entry ?? 0;

    /// <summary>One past the image's last byte.</summary>
    public ulong End => Loads.Max(load => load.PhysicalEnd);

    /// <summary>Whether a kernel can be started by PVH and in no other way. Linux built for it still has most of the other notes.</summary>
    public static bool IsOnly(KernelParameters parameters) =>
        parameters.Phys32Entry is not null && parameters.Entry is null && parameters.HypercallPage is null;

    /// <summary>Checks a kernel file that was unwrapped.</summary>
    /// <exception cref="KernelFormatException">It can't be run so, and why.</exception>
    public static HvmImage Load(ElfImage elf, KernelParameters parameters)
    {
        List<ElfSegment> loads = KernelImage.CheckedLoads(elf);
        if (parameters.Phys32Entry is not { } entry)
        {
            throw new KernelFormatException("this kernel can't be started by PVH: it has no PHYS32_ENTRY note; only type=\"pv\" can run it");
        }

        return loads.Exists(load => entry >= load.PhysicalAddress && entry < load.PhysicalEnd)
            ? new HvmImage(elf, parameters, loads)
            : throw new KernelFormatException($"the kernel's PVH entry point 0x{entry:x8} is not in its image");
    }
}
