using System.Buffers.Binary;
using System.Text;

namespace Dbt.Xen.Builder;

/// <summary>A 32-bit i386 ELF executable, its headers checked against the file's length.</summary>
internal sealed class ElfImage
{
    /// <summary>Bytes of an Elf32_Ehdr.</summary>
    public const int HeaderBytes = 52;

    /// <summary>Bytes of an Elf32_Shdr.</summary>
    public const int SectionHeaderBytes = 40;

    private const int ProgramHeaderBytes = 32;
    private const int MachineOffset = 18, MachineI386 = 3, MachineX8664 = 62, TypeOffset = 16;

    private ElfImage(byte[] file) => File = file;

    /// <summary>The whole file.</summary>
    public byte[] File { get; }

    /// <summary>e_entry.</summary>
    public uint Entry { get; private init; }

    /// <summary>Program headers, in the file's order.</summary>
    public IReadOnlyList<ElfSegment> Segments { get; private init; } = [];

    /// <summary>Section headers, in the file's order; none where the file has no table of them.</summary>
    public IReadOnlyList<ElfSection> Sections { get; private init; } = [];

    /// <summary>Whether bytes begin as an ELF file does.</summary>
    public static bool HasMagic(ReadOnlySpan<byte> file) => file.StartsWith("\u007FELF"u8);

    /// <summary>Reads and checks the headers.</summary>
    /// <exception cref="KernelFormatException">Not an i386 executable, or truncated.</exception>
    public static ElfImage Parse(byte[] file)
    {
        CheckIdentity(file);
        ushort programHeaders = Read16(file, 44), sectionHeaders = Read16(file, 48);
        uint programTable = Read32(file, 28), sectionTable = Read32(file, 32);
        var segments = new List<ElfSegment>();
        for (uint i = 0; i < programHeaders; i++)
        {
            segments.Add(ReadSegment(file, Entry(file, "program headers", programTable, i, Read16(file, 42), ProgramHeaderBytes)));
        }

        var sections = new List<ElfSection>();
        if (sectionTable != 0)
        {
            for (uint i = 0; i < sectionHeaders; i++)
            {
                uint at = Entry(file, "section headers", sectionTable, i, Read16(file, 46), SectionHeaderBytes);
                sections.Add(new ElfSection("", Read32(file, at + 4), Read32(file, at + 16), Read32(file, at + 20), Read32(file, at + 24), at));
            }

            NameSections(file, sections, Read16(file, 50));
        }

        return new ElfImage(file) { Entry = Read32(file, 24), Segments = segments, Sections = sections };

        static uint Entry(byte[] file, string what, uint table, uint index, ushort size, int least)
        {
            ulong at = table + ((ulong)index * size);
            if (size < least)
            {
                throw new KernelFormatException($"the ELF file's {what} are {size} bytes each, less than {least}");
            }

            return at + (ulong)least <= (ulong)file.Length
                ? (uint)at
                : throw new KernelFormatException($"the ELF file is truncated: its {what} lie beyond its end, at {at} of {file.Length} bytes");
        }
    }

    /// <summary>Whether an address lies in an executable segment.</summary>
    public bool IsCode(uint address) => Segments.Any(segment => (segment.Flags & ElfSegment.Executable) != 0 && address - segment.VirtualAddress < segment.MemorySize);

    /// <summary>The bytes of a segment in the file.</summary>
    /// <exception cref="KernelFormatException">They lie beyond the file's end.</exception>
    public ReadOnlySpan<byte> Contents(in ElfSegment segment) => Slice("segment", segment.Offset, segment.FileSize);

    /// <summary>The bytes of a section in the file.</summary>
    /// <exception cref="KernelFormatException">They lie beyond the file's end.</exception>
    public ReadOnlySpan<byte> Contents(in ElfSection section) => Slice($"section {section.Name}", section.Offset, section.Size);

    private ReadOnlySpan<byte> Slice(string what, uint offset, uint size) => (ulong)offset + size <= (ulong)File.Length
        ? File.AsSpan((int)offset, (int)size)
        : throw new KernelFormatException($"the ELF file is truncated: a {what} ends at {(ulong)offset + size}, the file at {File.Length}");

    private static void CheckIdentity(byte[] file)
    {
        const int classOffset = 4, dataOffset = 5;
        if (!HasMagic(file) || file.Length < 20)
        {
            throw new KernelFormatException(HasMagic(file) ? "the ELF file is truncated within its header" : "not an ELF file");
        }

        ushort machine = Read16(file, MachineOffset);
        if (file[classOffset] == 2 || machine == MachineX8664)
        {
            throw new KernelFormatException("this is a 64-bit kernel; only 32-bit PAE kernels (i386) can be run");
        }

        if (file[classOffset] != 1 || file[dataOffset] != 1 || machine != MachineI386)
        {
            throw new KernelFormatException($"not an i386 kernel: ELF class {file[classOffset]}, byte order {file[dataOffset]}, machine {machine}");
        }

        if (file.Length < HeaderBytes)
        {
            throw new KernelFormatException("the ELF file is truncated within its header");
        }

        ushort type = Read16(file, TypeOffset);
        if (type is not (2 or 3))
        {
            throw new KernelFormatException($"not a kernel: an ELF file of type {type} is not executable");
        }
    }

    private static ElfSegment ReadSegment(byte[] file, uint at) => new(
        Read32(file, at), Read32(file, at + 4), Read32(file, at + 8), Read32(file, at + 12), Read32(file, at + 16), Read32(file, at + 20), Read32(file, at + 24));

    private static void NameSections(byte[] file, List<ElfSection> sections, ushort nameTable)
    {
        if (nameTable >= sections.Count)
        {
            return;
        }

        ElfSection names = sections[nameTable];
        if ((ulong)names.Offset + names.Size > (ulong)file.Length)
        {
            return; // names are only a help; what has to be found by name is then not found
        }

        ReadOnlySpan<byte> table = file.AsSpan((int)names.Offset, (int)names.Size);
        for (int i = 0; i < sections.Count; i++)
        {
            uint start = Read32(file, sections[i].HeaderOffset);
            if (start < table.Length)
            {
                ReadOnlySpan<byte> name = table[(int)start..];
                int end = name.IndexOf((byte)0);
                sections[i] = sections[i] with { Name = Encoding.ASCII.GetString(end < 0 ? name : name[..end]) };
            }
        }
    }

    private static ushort Read16(byte[] file, uint offset) => BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan((int)offset));

    private static uint Read32(byte[] file, uint offset) => BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan((int)offset));
}
