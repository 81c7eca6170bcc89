using System.Buffers.Binary;
using System.Text;

namespace Dbt.Tests.Xen.Builder;

/// <summary>Makes i386 ELF executables by hand for the loader's tests.</summary>
internal sealed class ElfWriter
{
    private const int HeaderBytes = 52, ProgramHeaderBytes = 32, SectionHeaderBytes = 40;

    private readonly List<(uint Type, uint Virtual, uint Physical, byte[] Contents, uint MemorySize)> _segments = [];
    private readonly List<(string Name, uint Type, byte[] Contents, uint Link, uint EntrySize)> _sections = [("", 0, [], 0, 0)];

    public uint Entry { get; init; }

    public byte Class { get; init; } = 1;

    public ushort Machine { get; init; } = 3;

    public ushort Type { get; init; } = 2;

    public ElfWriter Load(uint virtualAddress, byte[] contents, uint? physical = null, uint? memorySize = null)
    {
        _segments.Add((1, virtualAddress, physical ?? virtualAddress, contents, memorySize ?? (uint)contents.Length));
        return this;
    }

    public ElfWriter NoteSegment(params byte[][] notes)
    {
        byte[] all = [.. notes.SelectMany(n => n)];
        _segments.Add((4, 0, 0, all, (uint)all.Length));
        return this;
    }

    public ElfWriter Section(string name, uint type, byte[] contents, uint link = 0, uint entrySize = 0)
    {
        _sections.Add((name, type, contents, link, entrySize));
        return this;
    }

    public static byte[] Note(uint type, byte[] descriptor, string owner = "Xen", uint? claimedSize = null)
    {
        byte[] name = Encoding.ASCII.GetBytes(owner + "\0");
        byte[] note = new byte[12 + Align(name.Length) + Align(descriptor.Length)];
        Put32(note, 0, (uint)name.Length);
        Put32(note, 4, claimedSize ?? (uint)descriptor.Length);
        Put32(note, 8, type);
        name.CopyTo(note, 12);
        descriptor.CopyTo(note, 12 + Align(name.Length));
        return note;
    }

    public static byte[] Note(uint type, uint number, string owner = "Xen") => Note(type, BitConverter.GetBytes(number), owner);

    public static byte[] Note(uint type, string text, string owner = "Xen") => Note(type, Encoding.ASCII.GetBytes(text + "\0"), owner);

    public byte[] Build()
    {
        var sections = new List<(string Name, uint Type, byte[] Contents, uint Link, uint EntrySize)>(_sections);
        byte[] names = Encoding.ASCII.GetBytes(string.Concat(sections.Select(s => s.Name + "\0")) + ".shstrtab\0");
        sections.Add((".shstrtab", 3, names, 0, 0));

        int at = HeaderBytes + (_segments.Count * ProgramHeaderBytes);
        int sectionTable = Align(at + _segments.Sum(s => Align(s.Contents.Length)) + sections.Sum(s => Align(s.Contents.Length)));
        byte[] file = new byte[sectionTable + (sections.Count * SectionHeaderBytes)];
        Header(file, sectionTable, sections.Count);
        for (int i = 0; i < _segments.Count; i++)
        {
            (uint type, uint linear, uint physical, byte[] contents, uint memorySize) = _segments[i];
            int header = HeaderBytes + (i * ProgramHeaderBytes);
            Put32(file, header, type, (uint)at, linear, physical, (uint)contents.Length, memorySize, 7, 4096);
            contents.CopyTo(file, at);
            at += Align(contents.Length);
        }

        int nameAt = 0;
        for (int i = 0; i < sections.Count; i++)
        {
            (string name, uint type, byte[] contents, uint link, uint entrySize) = sections[i];
            Put32(file, sectionTable + (i * SectionHeaderBytes), (uint)nameAt, type, 0, 0, (uint)(type == 0 ? 0 : at), (uint)contents.Length, link, 0, 4, entrySize);
            contents.CopyTo(file, at);
            at += Align(contents.Length);
            nameAt += name.Length + 1;
        }

        return file;
    }

    private void Header(byte[] file, int sectionTable, int sections)
    {
        "\u007FELF"u8.CopyTo(file);
        file[4] = Class;
        file[5] = 1;
        file[6] = 1;
        Put16(file, 16, Type, Machine);
        Put32(file, 20, 1, Entry, HeaderBytes, (uint)sectionTable, 0);
        Put16(file, 40, HeaderBytes, ProgramHeaderBytes, (ushort)_segments.Count, SectionHeaderBytes, (ushort)sections, (ushort)(sections - 1));
    }

    private static int Align(int value) => (value + 3) & ~3;

    private static void Put16(byte[] file, int at, params ushort[] values)
    {
        foreach (ushort value in values)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(at), value);
            at += 2;
        }
    }

    private static void Put32(byte[] file, int at, params uint[] values)
    {
        foreach (uint value in values)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(at), value);
            at += 4;
        }
    }
}
