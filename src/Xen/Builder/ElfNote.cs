using System.Buffers.Binary;
using System.Text;

namespace Dbt.Xen.Builder;

/// <summary>Types of Xen's notes (public/elfnote.h, XEN_ELFNOTE_*).</summary>
internal enum XenNoteType : uint
{
    Info = 0,
    Entry = 1,
    HypercallPage = 2,
    VirtBase = 3,
    PaddrOffset = 4,
    XenVersion = 5,
    GuestOs = 6,
    GuestVersion = 7,
    Loader = 8,
    PaeMode = 9,
    Features = 10,
    BsdSymtab = 11,
    HvStartLow = 12,
    L1MfnValid = 13,
    SuspendCancel = 14,
    InitP2m = 15,
    ModStartPfn = 16,
    SupportedFeatures = 17,
    Phys32Entry = 18,
}

/// <summary>One note of an ELF file.</summary>
/// <param name="Owner">Name field without its terminator: "Xen" for those that count here.</param>
/// <param name="Type">Type field.</param>
/// <param name="Descriptor">Contents, cut at the end of the notes where the file claims more.</param>
internal sealed record ElfNote(string Owner, uint Type, byte[] Descriptor)
{
    private const int HeaderBytes = 12;

    /// <summary>The contents as a number of 4 or 8 bytes, of which the low 32 bits count; null where there are fewer.</summary>
    public uint? Number => Descriptor.Length >= 4 ? BinaryPrimitives.ReadUInt32LittleEndian(Descriptor) : null;

    /// <summary>The contents as text up to the first NUL.</summary>
    public string Text
    {
        get
        {
            int end = Array.IndexOf(Descriptor, (byte)0);
            return Encoding.Latin1.GetString(Descriptor, 0, end < 0 ? Descriptor.Length : end);
        }
    }

    /// <summary>
    /// All notes of a segment or section. What doesn't fit any more is cut: GRUB 2.06's last note has a descriptor of 4 bytes and says 12.
    /// </summary>
    public static IEnumerable<ElfNote> ReadAll(ReadOnlyMemory<byte> notes)
    {
        int at = 0;
        while (notes.Length - at >= HeaderBytes)
        {
            ReadOnlySpan<byte> header = notes.Span[at..];
            uint nameSize = BinaryPrimitives.ReadUInt32LittleEndian(header);
            uint descriptorSize = BinaryPrimitives.ReadUInt32LittleEndian(header[4..]);
            uint type = BinaryPrimitives.ReadUInt32LittleEndian(header[8..]);
            ReadOnlySpan<byte> name = Take(notes.Span, at + HeaderBytes, nameSize, out long next);
            ReadOnlySpan<byte> descriptor = Take(notes.Span, next, descriptorSize, out next);
            yield return new ElfNote(Encoding.Latin1.GetString(name).TrimEnd('\0'), type, descriptor.ToArray());
            at = (int)Math.Min(next, notes.Length);
        }
    }

    private static ReadOnlySpan<byte> Take(ReadOnlySpan<byte> notes, long at, uint size, out long next)
    {
        long start = Math.Min(at, notes.Length);
        long end = Math.Min(start + size, notes.Length);
        next = at + (((long)size + 3) & ~3L);
        return notes[(int)start..(int)end];
    }
}
