using System.IO.Compression;
using Dbt.Xen.Abi;

namespace Dbt.Xen.Snapshot;

/// <summary>
/// Some pages of memory as one section: how many, their numbers, how their contents are packed, and these. Chunks are independent of one another, so that
/// several threads make them or take them up. Pages that are zero are in none.
/// </summary>
public static unsafe class MemoryChunk
{
    /// <summary>Most pages of a chunk: 1 MiB.</summary>
    public const int MostPages = 256;

    private const int Quality = 1, WindowBits = 20;
    private const byte Plain = 0, Brotli = 1;

    /// <summary>Splits pages into lists for chunks, zero ones left out. The domain is paused.</summary>
    public static IEnumerable<GuestPage[]> Split(Domain domain, IReadOnlyList<GuestPage> pages)
    {
        var chunk = new List<GuestPage>(MostPages);
        foreach (GuestPage page in pages)
        {
            if (!IsZero(domain, page.Mfn))
            {
                chunk.Add(page);
            }

            if (chunk.Count == MostPages)
            {
                yield return [.. chunk];
                chunk.Clear();
            }
        }

        if (chunk.Count != 0)
        {
            yield return [.. chunk];
        }
    }

    /// <summary>Makes a section's fields of some pages.</summary>
    public static SectionWriter Pack(Domain domain, ReadOnlySpan<GuestPage> pages)
    {
        byte[] plain = GC.AllocateUninitializedArray<byte>(pages.Length * Layout.PageSize);
        var writer = new SectionWriter();
        writer.UInt32((uint)pages.Length);
        for (int i = 0; i < pages.Length; i++)
        {
            writer.UInt32(pages[i].Number);
            new ReadOnlySpan<byte>(domain.Hypervisor.Machine.Frame(pages[i].Mfn), Layout.PageSize).CopyTo(plain.AsSpan(i * Layout.PageSize));
        }

        byte[] packed = GC.AllocateUninitializedArray<byte>(plain.Length);
        bool smaller = BrotliEncoder.TryCompress(plain, packed, out int length, Quality, WindowBits) && length < plain.Length;
        writer.Byte(smaller ? Brotli : Plain);
        writer.Bytes(smaller ? packed.AsSpan(0, length) : plain);
        return writer;
    }

    /// <summary>Puts a chunk's pages where they belong. Any thread, for different chunks at the same time.</summary>
    /// <exception cref="SnapshotException">It is not good.</exception>
    public static void Unpack(SectionReader reader, IPageSink sink)
    {
        int count = reader.Count(MostPages, sizeof(uint), "pages");
        Span<uint> numbers = stackalloc uint[count];
        foreach (ref uint number in numbers)
        {
            number = reader.UInt32();
        }

        byte kind = reader.Byte();
        ReadOnlySpan<byte> packed = reader.Bytes(reader.Left), plain = packed;
        int bytes = count * Layout.PageSize;
        if (kind == Brotli)
        {
            byte[] buffer = GC.AllocateUninitializedArray<byte>(bytes);
            bool whole = BrotliDecoder.TryDecompress(packed, buffer, out int written) && written == bytes;
            plain = whole ? buffer : throw reader.Error("its pages can't be unpacked");
        }

        if (kind is not (Plain or Brotli) || plain.Length != bytes)
        {
            throw reader.Error("its pages are not as many as it says, or packed in an unknown way");
        }

        for (int i = 0; i < count; i++)
        {
            plain.Slice(i * Layout.PageSize, Layout.PageSize).CopyTo(sink.Page(numbers[i]));
        }
    }

    /// <summary>Whether a frame holds nothing but zeros.</summary>
    public static bool IsZero(Domain domain, uint mfn) =>
        !new ReadOnlySpan<byte>(domain.Hypervisor.Machine.Frame(mfn), Layout.PageSize).ContainsAnyExcept((byte)0);
}
