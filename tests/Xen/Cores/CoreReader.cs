using System.Buffers.Binary;
using System.Text;

namespace Dbt.Tests.Xen.Cores;

/// <summary>Reads a core by Xen's docs/misc/dump-core-format.txt, and by nothing of what writes it.</summary>
internal sealed class CoreReader
{
    private const int ContextBytes = 2800, RegistersAt = 516;

    private readonly byte[] _file;
    private readonly Dictionary<string, (uint Type, int Offset, int Size, int Entry)> _sections = [];

    public CoreReader(byte[] file)
    {
        _file = file;
        Assert.Equal([0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1, 0], file[..8]);
        Assert.Equal(4, Word16(16));
        Assert.Equal(3, Word16(18));
        Assert.Equal(0, Word16(56));
        int headers = (int)Word64(40), count = Word16(60), size = Word16(58);
        int names = (int)Word64(headers + (Word16(62) * size) + 24);
        for (int i = 1; i < count; i++)
        {
            int at = headers + (i * size);
            int name = names + (int)Word32(at), end = Array.IndexOf(file, (byte)0, name);
            _sections.Add(Encoding.ASCII.GetString(file[name..end]), (Word32(at + 4), (int)Word64(at + 24), (int)Word64(at + 32), (int)Word64(at + 56)));
        }

        ReadNotes();
    }

    public IEnumerable<string> Sections => _sections.Keys;

    public ulong Magic { get; private set; }

    public int Vcpus { get; private set; }

    public int PageCount { get; private set; }

    public string Capabilities { get; private set; } = "";

    public ReadOnlySpan<byte> SharedInfo => Section(".xen_shared_info");

    /// <summary>PFN and GMFN of the n-th page.</summary>
    public (ulong Pfn, ulong Gmfn) Place(int n)
    {
        bool translated = _sections.ContainsKey(".xen_pfn");
        int at = _sections[translated ? ".xen_pfn" : ".xen_p2m"].Offset + (n * (translated ? 8 : 16));
        return translated ? (Word64(at), Word64(at)) : (Word64(at), Word64(at + 8));
    }

    public ReadOnlySpan<byte> Page(int n) => Section(".xen_pages").Slice(n * 4096, 4096);

    /// <summary>The page of a PFN.</summary>
    public ReadOnlySpan<byte> PageOf(ulong pfn)
    {
        int n = Enumerable.Range(0, PageCount).First(n => Place(n).Pfn == pfn);
        return Page(n);
    }

    /// <summary>What an auto-translated domain's processor has at a linear address, to the end of that page: a walk from its CR3, with PAE.</summary>
    public ReadOnlySpan<byte> AtLinear(int vcpu, uint linear)
    {
        const ulong large = 0x80, frame = 0x000F_FFFF_FFFF_F000, largeFrame = 0x000F_FFFF_FFE0_0000;
        uint cr3 = Context(vcpu, 2716 + 12);
        ulong table = Entry((cr3 & ~31u) + (8 * (linear >> 30))) & frame;
        ulong directory = Entry(table + (8 * ((linear >> 21) & 511)));
        ulong physical = (directory & large) != 0 ? (directory & largeFrame) + (linear & 0x1FFFFF)
            : (Entry((directory & frame) + (8 * ((linear >> 12) & 511))) & frame) + (linear & 0xFFF);
        return PageOf(physical >> 12)[(int)(physical & 0xFFF)..];
    }

    private ulong Entry(ulong physical) => BinaryPrimitives.ReadUInt64LittleEndian(PageOf(physical >> 12)[(int)(physical & 0xFFF)..]);

    /// <summary>A field of a processor's cpu_user_regs, by its offset there.</summary>
    public uint Register(int vcpu, int offset) => Context(vcpu, RegistersAt + offset);

    /// <summary>EIP of a processor.</summary>
    public uint Eip(int vcpu) => Register(vcpu, 32);

    /// <summary>A word of a processor's vcpu_guest_context.</summary>
    public uint Context(int vcpu, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(Section(".xen_prstatus")[((vcpu * ContextBytes) + offset)..]);

    private ReadOnlySpan<byte> Section(string name) => _file.AsSpan(_sections[name].Offset, _sections[name].Size);

    private void ReadNotes()
    {
        (uint type, int at, int size, _) = _sections[".note.Xen"];
        Assert.Equal(7u, type);
        var seen = new List<uint>();
        for (int end = at + size; at < end;)
        {
            Assert.Equal(4u, Word32(at));
            int length = (int)Word32(at + 4), description = at + 16;
            uint kind = Word32(at + 8);
            Assert.Equal("Xen\0", Encoding.ASCII.GetString(_file, at + 12, 4));
            seen.Add(kind);
            if (kind == 0x2000001)
            {
                (Magic, Vcpus, PageCount) = (Word64(description), (int)Word64(description + 8), (int)Word64(description + 16));
                Assert.Equal(4096ul, Word64(description + 24));
            }
            else if (kind == 0x2000002)
            {
                Assert.Equal((4ul, 17ul), (Word64(description), Word64(description + 8)));
                Capabilities = Encoding.ASCII.GetString(_file, description + 176, 1024).TrimEnd('\0');
                Assert.Equal(0xF5800000u, Word32(description + 1264));
                Assert.Equal(4096ul, Word64(description + 1268));
            }
            else if (kind == 0x2000003)
            {
                Assert.Equal(1ul, Word64(description));
            }

            at = description + length;
        }

        Assert.Equal([0x2000000, 0x2000001, 0x2000002, 0x2000003], seen);
        Assert.Equal(Vcpus * ContextBytes, _sections[".xen_prstatus"].Size);
        Assert.Equal(PageCount * 4096, _sections[".xen_pages"].Size);
        Assert.Equal(0, _sections[".xen_pages"].Offset % 4096);
    }

    private ushort Word16(int at) => BinaryPrimitives.ReadUInt16LittleEndian(_file.AsSpan(at));

    private uint Word32(int at) => BinaryPrimitives.ReadUInt32LittleEndian(_file.AsSpan(at));

    private ulong Word64(int at) => BinaryPrimitives.ReadUInt64LittleEndian(_file.AsSpan(at));
}
