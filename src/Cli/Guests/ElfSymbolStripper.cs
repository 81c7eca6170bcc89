using System.Buffers.Binary;

namespace Dbt.Cli.Guests;

/// <summary>
/// Takes local symbols that nothing refers to out of a relocatable i386 file, as <c>strip --discard-all</c> does, and numbers the rest anew.
/// The file keeps its length: only the symbol table is shorter.
/// </summary>
internal static class ElfSymbolStripper
{
    private const int SymbolBytes = 16, RelocationBytes = 8;
    private const int SizeField = 20, InfoField = 28;
    private const byte SectionSymbol = 3;

    /// <summary>The file without them.</summary>
    /// <exception cref="InvalidDataException">Its tables can't be what they say.</exception>
    public static byte[] Strip(byte[] file)
    {
        byte[] stripped = (byte[])file.Clone();
        var elf = new ElfObject(stripped);
        int index = elf.Sections.ToList().FindIndex(section => section.Type == ElfObject.SymbolTable);
        if (index < 0)
        {
            return stripped;
        }

        ElfObjectSection table = elf.Sections[index];
        Span<byte> symbols = stripped.AsSpan((int)table.Offset, (int)table.Size);
        int count = symbols.Length / SymbolBytes, locals = (int)Math.Min(table.Info, (uint)count);
        List<ElfObjectSection> relocations = [.. elf.Sections.Where(section => section.Type == ElfObject.Relocations && section.Link == index)];
        bool[] used = FindUsed(stripped, relocations, count);
        int[] numbers = new int[count];
        int kept = 0, keptLocals = 0;
        for (int i = 0; i < count; i++)
        {
            Span<byte> symbol = symbols.Slice(i * SymbolBytes, SymbolBytes);
            bool keep = i == 0 || i >= locals || used[i] || (symbol[12] & 0xF) == SectionSymbol;
            if (!keep)
            {
                continue;
            }

            numbers[i] = kept;
            keptLocals += i < locals ? 1 : 0;
            symbol.CopyTo(symbols.Slice(kept++ * SymbolBytes, SymbolBytes));
        }

        BinaryPrimitives.WriteInt32LittleEndian(stripped.AsSpan(table.Header + SizeField), kept * SymbolBytes);
        BinaryPrimitives.WriteInt32LittleEndian(stripped.AsSpan(table.Header + InfoField), keptLocals);
        foreach (ElfObjectSection section in relocations)
        {
            Renumber(stripped.AsSpan((int)section.Offset, (int)section.Size), numbers);
        }

        return stripped;
    }

    private static bool[] FindUsed(byte[] file, List<ElfObjectSection> relocations, int count)
    {
        bool[] used = new bool[count];
        foreach (ElfObjectSection section in relocations)
        {
            ReadOnlySpan<byte> entries = file.AsSpan((int)section.Offset, (int)section.Size);
            for (int at = 0; at + RelocationBytes <= entries.Length; at += RelocationBytes)
            {
                uint symbol = BinaryPrimitives.ReadUInt32LittleEndian(entries[(at + 4)..]) >> 8;
                used[symbol < count ? (int)symbol : throw new InvalidDataException("a relocation names no symbol")] = true;
            }
        }

        return used;
    }

    private static void Renumber(Span<byte> entries, int[] numbers)
    {
        for (int at = 0; at + RelocationBytes <= entries.Length; at += RelocationBytes)
        {
            Span<byte> info = entries[(at + 4)..];
            uint value = BinaryPrimitives.ReadUInt32LittleEndian(info);
            BinaryPrimitives.WriteUInt32LittleEndian(info, ((uint)numbers[value >> 8] << 8) | (value & 0xFF));
        }
    }
}
