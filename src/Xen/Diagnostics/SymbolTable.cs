using System.Globalization;
using System.Runtime.InteropServices;
using Dbt.Xen.Builder;

namespace Dbt.Xen.Diagnostics;

/// <summary>A kernel's functions by address, for reports that a person reads.</summary>
public sealed class SymbolTable
{
    // A stub that stands in for a real System.map holds a line or two.
    private const int Least = 3;

    // Linux' own limit is 512.
    private const int LongestName = 512;

    // What is further from its symbol than this isn't in it.
    private const uint LongestFunction = 1 << 20;

    private readonly uint[] _addresses;
    private readonly string[] _names;

    private SymbolTable(List<(uint Address, string Name)> symbols)
    {
        // Of several names for one place the first one listed stays.
        symbols = [.. symbols.OrderBy(symbol => symbol.Address)];
        _addresses = [.. symbols.Select(symbol => symbol.Address)];
        _names = [.. symbols.Select(symbol => Clean(symbol.Name))];
    }

    // Names come from whoever made the kernel, and go to a terminal.
    private static string Clean(string name)
    {
        string cut = name.Length <= LongestName ? name : name[..LongestName];
        return cut.Any(char.IsControl) ? string.Concat(cut.Select(letter => char.IsControl(letter) ? '?' : letter)) : cut;
    }

    /// <summary>Functions that it knows.</summary>
    public int Count => _names.Length;

    /// <summary>Reads a System.map, or what /proc/kallsyms shows: lines of address, type and name, of which types T and W are functions.</summary>
    /// <returns>Null where it holds no functions of a 32-bit kernel, as Debian's packages have a stub that says where the real one is.</returns>
    public static SymbolTable? ReadSystemMap(TextReader reader)
    {
        var symbols = new List<(uint, string)>();
        while (reader.ReadLine() is { } line)
        {
            string[] words = line.Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
            if (words.Length >= 3 && words[1] is "T" or "t" or "W" or "w"
                && uint.TryParse(words[0], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint address) && address != 0)
            {
                symbols.Add((address, words.Length > 3 ? $"{words[2]} {words[3]}" : words[2]));
            }
        }

        return symbols.Count < Least ? null : new SymbolTable(symbols);
    }

    /// <summary>Reads the symbol table of a kernel's own ELF file, which may be wrapped as kernels are; without one, the names that a Linux kernel has of itself.</summary>
    /// <returns>Null where it has none.</returns>
    public static SymbolTable? ReadKernel(byte[] kernel)
    {
        try
        {
            byte[] image = KernelContainer.Unwrap(kernel);
            if (ReadElf(ElfImage.Parse(image)) is { } table)
            {
                return table;
            }

            List<(uint Address, string Name)> own = KernelNameTable.Read(image);
            return own.Count < Least ? null : new SymbolTable(own);
        }
        catch (KernelFormatException)
        {
            return null; // a report without names is better than none
        }
    }

    /// <summary>The function that an address lies in.</summary>
    /// <returns>Null where there is none.</returns>
    public (string Name, uint Start)? Find(uint address)
    {
        int at = IndexOf(address);
        return at < 0 ? null : (_names[at], _addresses[at]);
    }

    /// <summary>The function that an address lies in, as Linux writes it: <c>name+0x1c/0x40</c>, offset and size; null where there is none.</summary>
    public string? Describe(uint address)
    {
        int at = IndexOf(address);
        if (at < 0)
        {
            return null;
        }

        int next = at + 1;
        while (next < _addresses.Length && _addresses[next] == _addresses[at])
        {
            next++;
        }

        string size = next < _addresses.Length ? string.Create(CultureInfo.InvariantCulture, $"/0x{_addresses[next] - _addresses[at]:x}") : "";
        return string.Create(CultureInfo.InvariantCulture, $"{_names[at]}+0x{address - _addresses[at]:x}{size}");
    }

    // The first of those that begin where the address's function does; -1 for none.
    private int IndexOf(uint address)
    {
        int at = Array.BinarySearch(_addresses, address);
        if (at < 0)
        {
            at = ~at - 1;
        }

        while (at > 0 && _addresses[at - 1] == _addresses[at])
        {
            at--;
        }

        return at < 0 || address - _addresses[at] > LongestFunction ? -1 : at;
    }

    private static SymbolTable? ReadElf(ElfImage image)
    {
        const byte NoType = 0, Function = 2;
        var symbols = new List<(uint, string)>();
        foreach (ElfSection section in image.Sections)
        {
            if (section.Type != ElfSection.SymbolTable || section.Link >= image.Sections.Count)
            {
                continue;
            }

            ReadOnlySpan<byte> names = image.Contents(image.Sections[(int)section.Link]);
            foreach (ElfSymbol symbol in MemoryMarshal.Cast<byte, ElfSymbol>(image.Contents(section)))
            {
                if ((symbol.Info & 0xF) is NoType or Function && symbol.Name < names.Length && image.IsCode(symbol.Value))
                {
                    ReadOnlySpan<byte> name = names[(int)symbol.Name..];
                    name = name[..Math.Max(0, name.IndexOf((byte)0))];
                    if (name.Length > 0)
                    {
                        symbols.Add((symbol.Value, System.Text.Encoding.ASCII.GetString(name)));
                    }
                }
            }
        }

        return symbols.Count < Least ? null : new SymbolTable(symbols);
    }

    /// <summary>Elf32_Sym.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly struct ElfSymbol
    {
        public readonly uint Name, Value, Size;
        public readonly byte Info, Other;
        public readonly ushort Section;
    }
}
