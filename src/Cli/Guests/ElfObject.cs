using System.Buffers.Binary;
using System.Text;

namespace Dbt.Cli.Guests;

/// <summary>The sections of a 32-bit little-endian relocatable file (System V ABI, chapter 4).</summary>
internal sealed class ElfObject
{
    /// <summary>sh_type: symbols; relocations without addends.</summary>
    public const uint SymbolTable = 2, NoBits = 8, Relocations = 9;

    private const int HeaderBytes = 52, SectionBytes = 40;
    private const ushort Relocatable = 1, I386 = 3;

    private readonly byte[] _file;

    /// <exception cref="InvalidDataException">The file is no such thing, or its sections leave it.</exception>
    public ElfObject(byte[] file)
    {
        _file = file;
        if (file.Length < HeaderBytes || !file.AsSpan().StartsWith((ReadOnlySpan<byte>)[0x7F, (byte)'E', (byte)'L', (byte)'F', 1, 1])
            || Half(16) != Relocatable || Half(18) != I386 || Half(46) != SectionBytes)
        {
            throw new InvalidDataException("no relocatable i386 ELF file");
        }

        long table = Word(32);
        int count = Half(48), names = Half(50);
        if (table + ((long)count * SectionBytes) > file.Length || names >= count)
        {
            throw new InvalidDataException("its section headers leave the file");
        }

        Sections = [.. Enumerable.Range(0, count).Select(i => Read((int)table + (i * SectionBytes)))];
        NamesSection = Sections[names];
    }

    /// <summary>All, by index.</summary>
    public IReadOnlyList<ElfObjectSection> Sections { get; }

    private ElfObjectSection NamesSection { get; }

    /// <summary>The section of a name.</summary>
    /// <exception cref="InvalidDataException">There is none.</exception>
    public ElfObjectSection Find(string name) =>
        Sections.FirstOrDefault(section => NameOf(section) == name) ?? throw new InvalidDataException($"it has no section {name}");

    /// <summary>What a section holds.</summary>
    public ReadOnlySpan<byte> Contents(ElfObjectSection section) => section.Type == NoBits ? [] : _file.AsSpan((int)section.Offset, (int)section.Size);

    private string NameOf(ElfObjectSection section)
    {
        ReadOnlySpan<byte> names = Contents(NamesSection);
        if (section.Name >= names.Length)
        {
            return "";
        }

        names = names[(int)section.Name..];
        int end = names.IndexOf((byte)0);
        return Encoding.ASCII.GetString(end < 0 ? names : names[..end]);
    }

    private ElfObjectSection Read(int at)
    {
        var section = new ElfObjectSection(at, Word(at), Word(at + 4), Word(at + 16), Word(at + 20), (int)Word(at + 24), Word(at + 28));
        return section.Type == NoBits || (ulong)section.Offset + section.Size <= (ulong)_file.Length ? section : throw new InvalidDataException("a section leaves the file");
    }

    private ushort Half(int at) => BinaryPrimitives.ReadUInt16LittleEndian(_file.AsSpan(at));

    private uint Word(int at) => BinaryPrimitives.ReadUInt32LittleEndian(_file.AsSpan(at));
}

/// <summary>A section header.</summary>
/// <param name="Header">Where it lies in the file.</param>
/// <param name="Name">sh_name.</param>
/// <param name="Type">sh_type.</param>
/// <param name="Offset">sh_offset.</param>
/// <param name="Size">sh_size.</param>
/// <param name="Link">sh_link.</param>
/// <param name="Info">sh_info.</param>
internal sealed record ElfObjectSection(int Header, uint Name, uint Type, uint Offset, uint Size, int Link, uint Info);
