using System.Buffers.Binary;

namespace Dbt.Xen.Builder;

/// <summary>
/// A kernel's symbol table as BSD_SYMTAB asks for it behind the image: a 32-bit length of what follows, then an ELF header with three
/// section headers (none, symbols, strings; offsets from that ELF header), the symbols, and the strings, each 4-aligned.
/// </summary>
internal sealed class BsdSymbolTable
{
    private const int LengthBytes = 4, SectionCount = 3;
    private const int HeadersEnd = LengthBytes + ElfImage.HeaderBytes + (SectionCount * ElfImage.SectionHeaderBytes);

    private readonly byte[] _contents;

    private BsdSymbolTable(byte[] contents) => _contents = contents;

    /// <summary>Bytes of all of it.</summary>
    public int Size => _contents.Length;

    /// <summary>All of it, to be put at a 4-aligned address.</summary>
    public ReadOnlySpan<byte> Contents => _contents;

    /// <summary>Makes it.</summary>
    /// <returns>Null where the file was stripped: the kernel then starts without.</returns>
    /// <exception cref="KernelFormatException">The tables lie outside the file.</exception>
    public static BsdSymbolTable? TryCreate(ElfImage elf)
    {
        int index = elf.Sections.ToList().FindIndex(s => s.Type == ElfSection.SymbolTable);
        if (index < 0)
        {
            return null;
        }

        ElfSection symbols = elf.Sections[index];
        if (symbols.Link >= elf.Sections.Count || elf.Sections[(int)symbols.Link].Type != ElfSection.StringTable)
        {
            return null;
        }

        ElfSection strings = elf.Sections[(int)symbols.Link];
        ReadOnlySpan<byte> symbolBytes = elf.Contents(symbols), stringBytes = elf.Contents(strings);
        int symbolsAt = HeadersEnd, stringsAt = Align(symbolsAt + symbolBytes.Length);
        int end = Align(stringsAt + stringBytes.Length);
        byte[] contents = new byte[end];
        Span<byte> table = contents;
        Write32(table, stringsAt + stringBytes.Length - LengthBytes);

        Span<byte> header = table[LengthBytes..];
        elf.File.AsSpan(0, ElfImage.HeaderBytes).CopyTo(header);
        Write32(header[28..], 0); // e_phoff
        Write32(header[32..], ElfImage.HeaderBytes); // e_shoff
        Write16(header[40..], ElfImage.HeaderBytes); // e_ehsize
        Write16(header[42..], 0); // e_phentsize
        Write16(header[44..], 0); // e_phnum
        Write16(header[46..], ElfImage.SectionHeaderBytes); // e_shentsize
        Write16(header[48..], SectionCount); // e_shnum
        Write16(header[50..], 0); // e_shstrndx

        Span<byte> symbolHeader = header[(ElfImage.HeaderBytes + ElfImage.SectionHeaderBytes)..];
        elf.File.AsSpan((int)symbols.HeaderOffset, ElfImage.SectionHeaderBytes).CopyTo(symbolHeader);
        Write32(symbolHeader[16..], symbolsAt - LengthBytes); // sh_offset
        Write32(symbolHeader[24..], 2); // sh_link

        Span<byte> stringHeader = symbolHeader[ElfImage.SectionHeaderBytes..];
        elf.File.AsSpan((int)strings.HeaderOffset, ElfImage.SectionHeaderBytes).CopyTo(stringHeader);
        Write32(stringHeader[16..], stringsAt - LengthBytes);

        symbolBytes.CopyTo(table[symbolsAt..]);
        stringBytes.CopyTo(table[stringsAt..]);
        return new BsdSymbolTable(contents);
    }

    private static int Align(int value) => checked((value + 3) & ~3);

    private static void Write32(Span<byte> at, int value) => BinaryPrimitives.WriteInt32LittleEndian(at, value);

    private static void Write16(Span<byte> at, int value) => BinaryPrimitives.WriteUInt16LittleEndian(at, (ushort)value);
}
