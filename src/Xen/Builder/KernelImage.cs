using Dbt.Xen.Abi;
using Dbt.Xen.Hvm;

namespace Dbt.Xen.Builder;

/// <summary>A kernel ready to be laid out: its checked segments and where it wants them, in virtual addresses.</summary>
internal sealed class KernelImage
{
    private KernelImage(ElfImage elf, KernelParameters parameters)
    {
        Elf = elf;
        Parameters = parameters;
    }

    /// <summary>The file.</summary>
    public ElfImage Elf { get; }

    /// <summary>The kernel's own description.</summary>
    public KernelParameters Parameters { get; }

    /// <summary>Segments to load, none of which overlap.</summary>
    public IReadOnlyList<ElfSegment> Loads { get; private init; } = [];

    /// <summary>Virtual address of pseudo-physical frame 0.</summary>
    public uint VirtBase { get; private init; }

    /// <summary>Added to a physical address of the file (mod 2^32) gives the virtual one.</summary>
    public uint VirtualOffset { get; private init; }

    /// <summary>First virtual address of the image.</summary>
    public uint Start { get; private init; }

    /// <summary>One past the last virtual address of the image, the symbol table included.</summary>
    public uint End { get; private init; }

    /// <summary>Where it starts to run.</summary>
    public uint Entry { get; private init; }

    /// <summary>The symbol table asked for with BSD_SYMTAB; null where there is none.</summary>
    public BsdSymbolTable? Symbols { get; private init; }

    /// <summary>Virtual address of <see cref="Symbols"/>.</summary>
    public uint SymbolsStart { get; private init; }

    /// <summary>Unwraps, parses and checks a kernel file.</summary>
    /// <exception cref="KernelFormatException">It can't be run, and why.</exception>
    public static KernelImage Load(byte[] file)
    {
        ElfImage elf = ElfImage.Parse(KernelContainer.Unwrap(file));
        return Load(elf, KernelParameters.Read(elf));
    }

    /// <summary>Checks a kernel file that was unwrapped and parsed.</summary>
    /// <exception cref="KernelFormatException">It can't be run, and why.</exception>
    public static KernelImage Load(ElfImage elf, KernelParameters parameters)
    {
        List<ElfSegment> loads = CheckedLoads(elf);
        CheckKind(parameters);

        uint virtBase = parameters.VirtBase ?? 0;
        uint paddrOffset = parameters.PaddrOffset ?? (parameters.IsLegacy ? virtBase : 0);
        uint offset = virtBase - paddrOffset;
        uint lowest = loads.Min(s => s.PhysicalAddress);
        ulong highest = loads.Max(s => s.PhysicalEnd);
        uint start = lowest + offset;
        ulong end = start + (highest - lowest);

        BsdSymbolTable? symbols = parameters.BsdSymtab ? BsdSymbolTable.TryCreate(elf) : null;
        ulong symbolsStart = (end + 3) & ~3ul;
        if (symbols is not null)
        {
            end = symbolsStart + (ulong)symbols.Size;
        }

        uint entry = parameters.Entry ?? elf.Entry;
        if (end > Layout.HypervisorStart)
        {
            throw new KernelFormatException($"the kernel wants to lie at 0x{start:x8} to 0x{end:x8}, above 0x{Layout.HypervisorStart:x8} where the hypervisor begins");
        }

        if (start < virtBase || entry < start || entry > end)
        {
            throw new KernelFormatException(
                $"the kernel's addresses contradict each other: base 0x{virtBase:x8}, image 0x{start:x8} to 0x{end:x8}, entry 0x{entry:x8}");
        }

        if ((virtBase & 0xFFF) != 0)
        {
            throw new KernelFormatException($"the kernel's base address 0x{virtBase:x8} is not page-aligned");
        }

        if (parameters.HypercallPage is uint page && ((page & 0xFFF) != 0 || page < (start & ~0xFFFu) || page >= end))
        {
            throw new KernelFormatException($"the kernel's hypercall page 0x{page:x8} is not a page of its image");
        }

        return new KernelImage(elf, parameters)
        {
            Loads = loads,
            VirtBase = virtBase,
            VirtualOffset = offset,
            Start = start,
            End = (uint)end,
            Entry = entry,
            Symbols = symbols,
            SymbolsStart = (uint)symbolsStart,
        };
    }

    /// <summary>The segments to load, by physical address.</summary>
    /// <exception cref="KernelFormatException">There are none, they overlap, or they are damaged.</exception>
    internal static List<ElfSegment> CheckedLoads(ElfImage elf)
    {
        List<ElfSegment> loads = [.. elf.Segments.Where(s => s.Type == ElfSegment.Load && s.MemorySize > 0).OrderBy(s => s.PhysicalAddress)];
        if (loads.Count == 0)
        {
            throw new KernelFormatException("not a kernel: the ELF file has no segment to load");
        }

        ulong end = 0;
        foreach (ElfSegment load in loads)
        {
            if (load.FileSize > load.MemorySize)
            {
                throw new KernelFormatException($"the ELF file's segment at 0x{load.PhysicalAddress:x8} is larger in the file than in memory");
            }

            if (load.PhysicalEnd > 1ul << 32)
            {
                throw new KernelFormatException($"the ELF file's segment at 0x{load.PhysicalAddress:x8} goes beyond 4 GiB");
            }

            if (load.PhysicalAddress < end)
            {
                throw new KernelFormatException($"the ELF file's segments overlap at 0x{load.PhysicalAddress:x8}");
            }

            _ = elf.Contents(load);
            end = load.PhysicalEnd;
        }

        return loads;
    }

    private static void CheckKind(KernelParameters parameters)
    {
        // PHYS32_ENTRY beside a PV entry does no harm.
        if (HvmImage.IsOnly(parameters))
        {
            throw new KernelFormatException("this kernel can only be started by PVH (it has a PHYS32_ENTRY note and no PV entry); say type=\"pvh\", or nothing");
        }

        if (parameters.Loader is not ("" or "generic") && parameters.GuestOs != "linux")
        {
            throw new KernelFormatException($"the kernel asks for the loader \"{parameters.Loader}\"; only \"generic\" exists");
        }

        if (parameters.XenVersion.Length > 0 && !parameters.XenVersion.StartsWith("xen-3.0", StringComparison.Ordinal))
        {
            throw new KernelFormatException($"the kernel is for the interface \"{parameters.XenVersion}\"; only xen-3.0 exists");
        }

        if (parameters.Pae == PaeMode.No)
        {
            throw new KernelFormatException("this is a kernel without PAE; only kernels with PAE page tables can be run");
        }
    }
}
