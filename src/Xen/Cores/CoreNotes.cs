using System.Buffers.Binary;
using System.Text;
using Dbt.Xen.Abi;
using Dbt.Xen.Hypercalls;

namespace Dbt.Xen.Cores;

/// <summary>The notes of a core (XEN_ELFNOTE_DUMPCORE_*, public/elfnote.h; their fields: Xen's tools/libs/guest/xg_core.h).</summary>
internal static class CoreNotes
{
    private const uint None = 0x2000000, Header = 0x2000001, Version = 0x2000002, FormatVersion = 0x2000003;
    private const ulong MagicPv = 0xF00FEBED, MagicHvm = 0xF00FEBEE;
    private const ulong Format = 1;

    // struct xen_dumpcore_elfnote_xen_version_desc of i386, and four bytes that Xen's tools of 64 bits leave behind it.
    private const int VersionBytes = 1280;

    /// <summary>Makes them.</summary>
    /// <param name="translated">Whether the domain is auto-translated.</param>
    /// <param name="vcpus">Processors in the core.</param>
    /// <param name="pages">Pages in the core.</param>
    public static byte[] Make(bool translated, int vcpus, int pages)
    {
        using var notes = new MemoryStream();
        Add(notes, None, []);
        Add(notes, Header, Words(translated ? MagicHvm : MagicPv, (ulong)vcpus, (ulong)pages, Layout.PageSize));
        Add(notes, Version, DescribeVersion());
        Add(notes, FormatVersion, Words(Format));
        return notes.ToArray();
    }

    private static void Add(MemoryStream notes, uint type, byte[] description)
    {
        Span<byte> head = stackalloc byte[16];
        BinaryPrimitives.WriteUInt32LittleEndian(head, 4);
        BinaryPrimitives.WriteUInt32LittleEndian(head[4..], (uint)description.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(head[8..], type);
        "Xen\0"u8.CopyTo(head[12..]);
        notes.Write(head);
        notes.Write(description);
    }

    private static byte[] Words(params ReadOnlySpan<ulong> words)
    {
        byte[] bytes = new byte[words.Length * sizeof(ulong)];
        for (int i = 0; i < words.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * sizeof(ulong)), words[i]);
        }

        return bytes;
    }

    private static byte[] DescribeVersion()
    {
        byte[] bytes = new byte[VersionBytes];
        int at = 0;
        Word(XenVersion.Version >> 16);
        Word(XenVersion.Version & 0xFFFF);
        Text(XenVersion.Extra, 16);
        Text(XenVersion.Compiler, 64);
        Text(XenVersion.CompiledBy, 16);
        Text(XenVersion.CompileDomain, 32);
        Text(XenVersion.CompileDate, 32);
        Text(XenVersion.CapabilityNames, 1024);
        Text(XenVersion.ChangesetName, 64);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at), Layout.HypervisorStart);
        at += sizeof(uint);
        Word(Layout.PageSize);
        return bytes;

        void Word(ulong value)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(at), value);
            at += sizeof(ulong);
        }

        void Text(string text, int size)
        {
            Encoding.ASCII.GetBytes(text, bytes.AsSpan(at, size - 1));
            at += size;
        }
    }
}
