using System.Buffers.Binary;
using System.Text;

namespace Dbt.Xen.Cores;

/// <summary>The ELF of a core: its header, section headers and their names. Sections lie in the order in which they are added, their names behind them.</summary>
internal sealed class CoreElf
{
    private const int HeaderBytes = 64, SectionBytes = 64, ProgramHeaderBytes = 56;
    private const ushort Core = 4, I386 = 3;
    private const uint Strings = 3;
    private const string NamesName = ".shstrtab";

    private readonly List<(string Name, uint Type, long Size, long Alignment, uint Entry)> _sections = [];

    /// <summary>Adds a section.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="type">SHT_*.</param>
    /// <param name="size">Bytes.</param>
    /// <param name="alignment">Of its place in the file.</param>
    /// <param name="entry">Bytes of an element; 0 where it is no array.</param>
    public void Add(string name, uint type, long size, long alignment, uint entry) => _sections.Add((name, type, size, alignment, entry));

    /// <summary>Where a section lies in the file; all are added.</summary>
    public long OffsetOf(string name)
    {
        int index = _sections.FindIndex(section => section.Name == name);
        return Offset(index >= 0 ? index : throw new ArgumentException($"the core has no section {name}", nameof(name)));
    }

    /// <summary>Writes the header and the section headers at the stream's beginning.</summary>
    public void WriteHeaders(Stream stream)
    {
        byte[] bytes = new byte[HeadersBytes];
        Span<byte> header = bytes;
        ((ReadOnlySpan<byte>)[0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1, 0, 1]).CopyTo(header);
        BinaryPrimitives.WriteUInt16LittleEndian(header[16..], Core);
        BinaryPrimitives.WriteUInt16LittleEndian(header[18..], I386);
        BinaryPrimitives.WriteUInt32LittleEndian(header[20..], 1);
        BinaryPrimitives.WriteUInt64LittleEndian(header[40..], HeaderBytes);
        BinaryPrimitives.WriteUInt16LittleEndian(header[52..], HeaderBytes);
        BinaryPrimitives.WriteUInt16LittleEndian(header[54..], ProgramHeaderBytes);
        BinaryPrimitives.WriteUInt16LittleEndian(header[58..], SectionBytes);
        BinaryPrimitives.WriteUInt16LittleEndian(header[60..], (ushort)(_sections.Count + 2));
        BinaryPrimitives.WriteUInt16LittleEndian(header[62..], (ushort)(_sections.Count + 1));

        // The first section header is nobody's, the last is that of the names.
        int name = 1;
        for (int i = 0; i < _sections.Count; i++)
        {
            (string text, uint type, long size, long alignment, uint entry) = _sections[i];
            WriteSection(bytes, i + 1, name, type, Offset(i), size, alignment, entry);
            name += text.Length + 1;
        }

        WriteSection(bytes, _sections.Count + 1, name, Strings, Offset(_sections.Count), Names().Length, alignment: 1, entry: 0);
        stream.Position = 0;
        stream.Write(bytes);
    }

    /// <summary>Writes the names, which end the file.</summary>
    public void WriteNames(Stream stream)
    {
        stream.Position = Offset(_sections.Count);
        stream.Write(Names());
    }

    private int HeadersBytes => HeaderBytes + ((_sections.Count + 2) * SectionBytes);

    private static void WriteSection(Span<byte> headers, int index, int name, uint type, long offset, long size, long alignment, uint entry)
    {
        Span<byte> section = headers.Slice(HeaderBytes + (index * SectionBytes), SectionBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(section, (uint)name);
        BinaryPrimitives.WriteUInt32LittleEndian(section[4..], type);
        BinaryPrimitives.WriteInt64LittleEndian(section[24..], offset);
        BinaryPrimitives.WriteInt64LittleEndian(section[32..], size);
        BinaryPrimitives.WriteInt64LittleEndian(section[48..], alignment);
        BinaryPrimitives.WriteUInt64LittleEndian(section[56..], entry);
    }

    private byte[] Names() => Encoding.ASCII.GetBytes($"\0{string.Concat(_sections.Select(static section => section.Name + '\0'))}{NamesName}\0");

    private long Offset(int index)
    {
        long offset = HeadersBytes;
        for (int i = 0; i <= index && i < _sections.Count; i++)
        {
            long alignment = _sections[i].Alignment;
            offset = (offset + alignment - 1) / alignment * alignment;
            offset += i < index ? _sections[i].Size : 0;
        }

        return offset;
    }
}
