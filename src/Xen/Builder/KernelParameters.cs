namespace Dbt.Xen.Builder;

/// <summary>What a kernel says of page tables in PAE format (public/elfnote.h, XEN_ELFNOTE_PAE_MODE).</summary>
internal enum PaeMode
{
    /// <summary>Two-level page tables, which no Xen since 4.0 runs.</summary>
    No,

    /// <summary>PAE, the L3 table below 4 GiB of machine memory.</summary>
    Yes,

    /// <summary>PAE, the L3 table anywhere: CR3 is written in its extended form.</summary>
    ExtendedCr3,

    /// <summary>Both; PAE with extended CR3 is what it gets.</summary>
    Bimodal,
}

/// <summary>
/// How a kernel wants to be loaded, as its own description says: Xen's notes in a PT_NOTE segment; without any, those in SHT_NOTE
/// sections; without those, the __xen_guest section; and last the notes of a section .note.Xen whatever their owner is called
/// (GNU Mach's is "name").
/// </summary>
internal sealed record KernelParameters
{
    /// <summary>VIRT_BASE: virtual address of pseudo-physical 0.</summary>
    public uint? VirtBase { get; private init; }

    /// <summary>PADDR_OFFSET: what the file's physical addresses have too much.</summary>
    public uint? PaddrOffset { get; private init; }

    /// <summary>ENTRY, a virtual address.</summary>
    public uint? Entry { get; private init; }

    /// <summary>HYPERCALL_PAGE, a virtual address.</summary>
    public uint? HypercallPage { get; private init; }

    /// <summary>PHYS32_ENTRY: where a PVH domain would start. Never used for a PV one.</summary>
    public uint? Phys32Entry { get; private init; }

    /// <summary>PAE_MODE.</summary>
    public PaeMode Pae { get; private init; }

    /// <summary>BSD_SYMTAB: the symbol table is to lie behind the image.</summary>
    public bool BsdSymtab { get; private init; }

    /// <summary>SUSPEND_CANCEL: a suspend may return 1, and then nothing has changed.</summary>
    public bool SuspendCancel { get; private init; }

    /// <summary>MOD_START_PFN: the ramdisk may lie outside the initial mapping.</summary>
    public bool ModStartPfn { get; private init; }

    /// <summary>LOADER: "generic", or nothing.</summary>
    public string Loader { get; private init; } = "";

    /// <summary>GUEST_OS.</summary>
    public string GuestOs { get; private init; } = "";

    /// <summary>XEN_VERSION.</summary>
    public string XenVersion { get; private init; } = "";

    /// <summary>FEATURES: names with | between them.</summary>
    public string Features { get; private init; } = "";

    /// <summary>Whether the description is the older section, where PADDR_OFFSET is VIRT_BASE unless said.</summary>
    public bool IsLegacy { get; private init; }

    /// <summary>Reads a kernel's description.</summary>
    /// <exception cref="KernelFormatException">It has none, or a damaged one.</exception>
    public static KernelParameters Read(ElfImage image)
    {
        List<ElfNote> notes = XenNotes(image.Segments.Where(s => s.Type == ElfSegment.Note).Select(s => image.Contents(s).ToArray()));
        if (notes.Count == 0)
        {
            notes = XenNotes(image.Sections.Where(s => s.Type == ElfSection.Note).Select(s => image.Contents(s).ToArray()));
        }

        if (notes.Count > 0)
        {
            return FromNotes(notes);
        }

        foreach (ElfSection section in image.Sections)
        {
            if (section.Name == GuestString.SectionName)
            {
                return FromGuestString(GuestString.Parse(image.Contents(section)));
            }
        }

        notes = [.. image.Sections.Where(s => s.Name == ".note.Xen").SelectMany(s => ElfNote.ReadAll(image.Contents(s).ToArray()))];
        return notes.Count > 0
            ? FromNotes(notes)
            : throw new KernelFormatException("not a Xen kernel: the ELF file has neither Xen notes nor a __xen_guest section");
    }

    private static List<ElfNote> XenNotes(IEnumerable<byte[]> areas) =>
        [.. areas.SelectMany(area => ElfNote.ReadAll(area)).Where(note => note.Owner == "Xen" && note.Type <= (uint)XenNoteType.Phys32Entry)];

    private static KernelParameters FromNotes(List<ElfNote> notes)
    {
        return new KernelParameters
        {
            VirtBase = Number(XenNoteType.VirtBase),
            PaddrOffset = Number(XenNoteType.PaddrOffset),
            Entry = Number(XenNoteType.Entry),
            HypercallPage = Number(XenNoteType.HypercallPage),
            Phys32Entry = Number(XenNoteType.Phys32Entry),
            Pae = NotePae(Text(XenNoteType.PaeMode), Text(XenNoteType.Features)),
            BsdSymtab = Text(XenNoteType.BsdSymtab).StartsWith("yes", StringComparison.Ordinal),
            SuspendCancel = Number(XenNoteType.SuspendCancel) is > 0,
            ModStartPfn = Number(XenNoteType.ModStartPfn) is > 0,
            Loader = Text(XenNoteType.Loader),
            GuestOs = Text(XenNoteType.GuestOs),
            XenVersion = Text(XenNoteType.XenVersion),
            Features = Text(XenNoteType.Features),
        };

        // Of two notes of one type the last counts, as in Xen.
        ElfNote? Find(XenNoteType type) => notes.FindLast(note => note.Type == (uint)type);

        string Text(XenNoteType type) => Find(type)?.Text ?? "";

        uint? Number(XenNoteType type)
        {
            ElfNote? note = Find(type);
            return note is null
                ? null
                : note.Number ?? throw new KernelFormatException($"the kernel's Xen note {type} holds {note.Descriptor.Length} bytes, not a number of 4 or 8");
        }
    }

    private static PaeMode NotePae(string mode, string features) =>
        mode.Contains("bimodal", StringComparison.Ordinal) ? PaeMode.Bimodal
        : mode.StartsWith("yes", StringComparison.Ordinal) ? PaeMode.ExtendedCr3
        : features.Contains("pae_pgdir_above_4gb", StringComparison.Ordinal) && mode.Length == 0 ? PaeMode.ExtendedCr3
        : PaeMode.No;

    private static KernelParameters FromGuestString(Dictionary<string, string> pairs)
    {
        uint? virtBase = GuestString.Number(pairs, "VIRT_BASE");
        uint? hypercallPage = GuestString.Number(pairs, "HYPERCALL_PAGE");
        string pae = Text("PAE");
        return new KernelParameters
        {
            IsLegacy = true,
            VirtBase = virtBase,
            PaddrOffset = GuestString.Number(pairs, "ELF_PADDR_OFFSET"),
            Entry = GuestString.Number(pairs, "VIRT_ENTRY"),

            // A page number from VIRT_BASE on, not an address.
            HypercallPage = hypercallPage is uint page ? (virtBase ?? 0) + (page << 12) : null,
            Pae = pae.Contains("extended-cr3", StringComparison.Ordinal) ? PaeMode.ExtendedCr3
                : pae.Contains("bimodal", StringComparison.Ordinal) ? PaeMode.Bimodal
                : pae.StartsWith("yes", StringComparison.Ordinal) ? PaeMode.Yes
                : PaeMode.No,
            BsdSymtab = pairs.ContainsKey("BSD_SYMTAB"),
            Loader = Text("LOADER"),
            GuestOs = Text("GUEST_OS"),
            XenVersion = Text("XEN_VER"),
            Features = Text("FEATURES"),
        };

        string Text(string name) => pairs.GetValueOrDefault(name, "");
    }
}
