using System.Runtime.InteropServices;
using System.Text;

namespace Dbt.Cli.Profile;

/// <summary>A program or shared library of the guest: its code as it lies in the file, and the names that it has for it.</summary>
internal sealed class ElfProgram
{
    private const int HeaderBytes = 52, SegmentBytes = 32, SectionBytes = 40, SymbolBytes = 16;
    private const uint LoadSegment = 1, Executable = 1, SymbolTable = 2, DynamicSymbols = 11;
    private const int Machine386 = 3, ClassAt = 4, Class32 = 1;

    private readonly byte[] _file;
    private readonly List<(uint Address, uint Size, string Name)> _symbols = [];

    private ElfProgram(string name, byte[] file)
    {
        Name = name;
        _file = file;
    }

    /// <summary>The file's name without its folder.</summary>
    public string Name { get; }

    /// <summary>Its executable segments: where in the file, where in memory, how long.</summary>
    public List<(uint Offset, uint Address, uint Length)> Code { get; } = [];

    /// <summary>How many names it has for its code.</summary>
    public int SymbolCount => _symbols.Count;

    /// <summary>Reads a file; one of another machine, or none that makes sense, is not for us.</summary>
    /// <returns>Null for such.</returns>
    public static ElfProgram? TryParse(string name, byte[] file)
    {
        if (file.Length < HeaderBytes || !file.AsSpan(0, 4).SequenceEqual("\u007fELF"u8) || file[ClassAt] != Class32 || MemoryMarshal.Read<ushort>(file.AsSpan(18)) != Machine386)
        {
            return null;
        }

        var program = new ElfProgram(Path.GetFileName(name), file);
        try
        {
            program.ReadSegments();
            program.ReadSymbols();
        }
        catch (Exception exception) when (exception is ArgumentOutOfRangeException or IndexOutOfRangeException or OverflowException)
        {
            return null; // cut short, or damaged
        }

        return program.Code.Count > 0 ? program : null;
    }

    /// <summary>The page of the file at an offset as memory shows it: what is behind the file's end is zero.</summary>
    public bool IsPage(uint offset, ReadOnlySpan<byte> page)
    {
        ReadOnlySpan<byte> here = _file.AsSpan((int)offset, (int)Math.Min(page.Length, _file.Length - offset));
        return page[..here.Length].SequenceEqual(here) && !page[here.Length..].ContainsAnyExcept((byte)0);
    }

    /// <summary>The file from an offset on.</summary>
    public ReadOnlySpan<byte> Bytes(uint offset) => _file.AsSpan((int)offset);

    /// <summary>The name for an address as the file counts them.</summary>
    /// <returns>A function's name; <c>behind NAME</c> where a function without a name stands behind one that has one; null before the first.</returns>
    public string? NameOf(uint address)
    {
        int low = 0, high = _symbols.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_symbols[middle].Address <= address)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        if (low == 0)
        {
            return null;
        }

        (uint start, uint size, string name) = _symbols[low - 1];
        return size == 0 || address - start < size ? name : $"behind {name}";
    }

    private uint Word(uint at) => MemoryMarshal.Read<uint>(_file.AsSpan(checked((int)at)));

    private ushort Half(uint at) => MemoryMarshal.Read<ushort>(_file.AsSpan(checked((int)at)));

    private void ReadSegments()
    {
        uint table = Word(28), count = Half(44);
        for (uint i = 0; i < count; i++)
        {
            uint at = table + (i * SegmentBytes);
            if (Word(at) == LoadSegment && (Word(at + 24) & Executable) != 0)
            {
                (uint offset, uint length) = (Word(at + 4), Word(at + 16));
                if (offset < _file.Length)
                {
                    Code.Add((offset, Word(at + 8), (uint)Math.Min(length, _file.Length - offset)));
                }
            }
        }
    }

    // The full table where it wasn't stripped off; the dynamic one has what the file exports.
    private void ReadSymbols()
    {
        uint table = Word(32), count = Half(48);
        List<uint> sections = [];
        for (uint i = 0; i < count; i++)
        {
            sections.Add(table + (i * SectionBytes));
        }

        foreach (uint kind in (ReadOnlySpan<uint>)[SymbolTable, DynamicSymbols])
        {
            foreach (uint section in sections.Where(section => Word(section + 4) == kind))
            {
                ReadSymbols(section, sections[(int)Word(section + 24)]);
            }

            if (_symbols.Count > 0)
            {
                break;
            }
        }

        _symbols.Sort((a, b) => a.Address != b.Address ? a.Address.CompareTo(b.Address) : b.Size.CompareTo(a.Size));

        // Of several names for one place the first stays.
        int kept = 0;
        for (int i = 0; i < _symbols.Count; i++)
        {
            if (kept == 0 || _symbols[kept - 1].Address != _symbols[i].Address)
            {
                _symbols[kept++] = _symbols[i];
            }
        }

        _symbols.RemoveRange(kept, _symbols.Count - kept);
    }

    private void ReadSymbols(uint section, uint names)
    {
        const int NoType = 0, Function = 2, IndirectFunction = 10;
        (uint start, uint length) = (Word(section + 16), Word(section + 20));
        ReadOnlySpan<byte> strings = _file.AsSpan((int)Word(names + 16), (int)Word(names + 20));
        for (uint at = start; at + SymbolBytes <= start + length; at += SymbolBytes)
        {
            (uint name, uint address, uint size) = (Word(at), Word(at + 4), Word(at + 8));
            if ((_file[at + 12] & 0xF) is NoType or Function or IndirectFunction && address != 0 && name < strings.Length && IsCode(address))
            {
                ReadOnlySpan<byte> text = strings[(int)name..];
                text = text[..Math.Max(0, text.IndexOf((byte)0))];
                if (text.Length > 0)
                {
                    _symbols.Add((address, size, Encoding.ASCII.GetString(text)));
                }
            }
        }
    }

    private bool IsCode(uint address) => Code.Exists(segment => address - segment.Address < segment.Length);
}
