using System.Buffers.Binary;
using SharpCompress.Compressors.LZMA;

namespace Dbt.Xen.Builder;

/// <summary>
/// Kernels in the .xz format (The .xz File Format 1.1.0): one stream, its blocks of LZMA2, alone or behind the filter for x86 code, which
/// is how Linux's build makes them. LZMA itself is the library's.
/// </summary>
internal static class XzDecompressor
{
    private const int HeaderBytes = 12, MagicBytes = 6;
    private const ulong FilterX86 = 0x04, FilterLzma2 = 0x21;
    private const byte CheckCrc32 = 1;

    /// <summary>Decompresses a stream; what follows it is ignored.</summary>
    /// <param name="data">Begins with the stream's magic.</param>
    /// <param name="limit">Most bytes that may come out.</param>
    /// <exception cref="InvalidDataException">The data is damaged, truncated, or uses another filter.</exception>
    /// <exception cref="KernelFormatException">More than <paramref name="limit"/> bytes come out.</exception>
    public static byte[] Expand(ReadOnlySpan<byte> data, int limit)
    {
        int checkType = data.Length > HeaderBytes ? data[MagicBytes + 1] & 0xF : throw Truncated();
        int checkBytes = checkType == 0 ? 0 : 4 << ((checkType - 1) / 3);
        int at = HeaderBytes;
        using var result = new MemoryStream();

        // A block header's first byte is its length; the index begins with 0 there.
        while (at < data.Length && data[at] != 0)
        {
            int headerBytes = (data[at] + 1) * 4;
            if (at + headerBytes > data.Length)
            {
                throw Truncated();
            }

            (byte dictionary, bool filtered) = ReadFilters(data.Slice(at, headerBytes));
            at += headerBytes;
            byte[] block = ExpandBlock(data[at..], dictionary, limit - (int)result.Length, out int used);
            at += (used + 3) & ~3;
            if (filtered)
            {
                BranchFilter.Decode(block);
            }

            if (at + checkBytes > data.Length)
            {
                throw Truncated();
            }

            if (checkType == CheckCrc32 && BinaryPrimitives.ReadUInt32LittleEndian(data[at..]) != Checksum(block))
            {
                throw new InvalidDataException("the block's checksum is wrong");
            }

            at += checkBytes;
            result.Write(block);
        }

        return at < data.Length ? result.ToArray() : throw Truncated();
    }

    private static InvalidDataException Truncated() => new("the stream is truncated");

    /// <summary>Filters of a block header: size byte, flags, optional sizes, then id, length of properties, properties of each.</summary>
    private static (byte Dictionary, bool Filtered) ReadFilters(ReadOnlySpan<byte> header)
    {
        const int hasCompressedSize = 0x40, hasSize = 0x80;
        byte flags = header[1];
        int at = 2;
        if ((flags & hasCompressedSize) != 0)
        {
            _ = ReadNumber(header, ref at);
        }

        if ((flags & hasSize) != 0)
        {
            _ = ReadNumber(header, ref at);
        }

        bool filtered = false;
        for (int left = (flags & 3) + 1; left > 0; left--)
        {
            ulong id = ReadNumber(header, ref at), length = ReadNumber(header, ref at);
            if (id == FilterLzma2 && left == 1 && length == 1 && at < header.Length)
            {
                return (header[at], filtered);
            }

            if (id != FilterX86 || filtered || length != 0)
            {
                break;
            }

            filtered = true;
        }

        throw new InvalidDataException("the block has a filter that isn't known");
    }

    private static ulong ReadNumber(ReadOnlySpan<byte> header, ref int at)
    {
        ulong value = 0;
        for (int shift = 0; shift < 63 && at < header.Length; shift += 7)
        {
            byte b = header[at++];
            value |= (ulong)(b & 0x7F) << shift;
            if ((b & 0x80) == 0)
            {
                return value;
            }
        }

        throw new InvalidDataException("the block's header is damaged");
    }

    private static unsafe byte[] ExpandBlock(ReadOnlySpan<byte> data, byte dictionary, int limit, out int used)
    {
        used = BlockBytes(data);
        fixed (byte* start = data)
        {
            using var source = new UnmanagedMemoryStream(start, used);
            using Stream stream = LzmaStream.Create([dictionary], source, used, -1, null, isLzma2: true);
            return BoundedReader.ReadAll(stream, limit);
        }
    }

    /// <summary>Length of LZMA2 data: chunks, each with its sizes before it, to one that ends them.</summary>
    private static int BlockBytes(ReadOnlySpan<byte> data)
    {
        const int lzmaHeader = 5, propertiesByte = 1, plainHeader = 3;
        int at = 0;
        while (at < data.Length)
        {
            byte control = data[at];
            if (control == 0)
            {
                return at + 1;
            }

            if (control > 2 && control < 0x80)
            {
                throw new InvalidDataException("a chunk's control byte is damaged");
            }

            bool isLzma = control >= 0x80;
            int sizeAt = at + (isLzma ? 3 : 1);
            if (sizeAt + 2 > data.Length)
            {
                break;
            }

            int header = isLzma ? lzmaHeader + (control >= 0xC0 ? propertiesByte : 0) : plainHeader;
            at += header + BinaryPrimitives.ReadUInt16BigEndian(data[sizeAt..]) + 1;
        }

        throw Truncated();
    }

    private static uint Checksum(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte b in bytes)
        {
            crc = s_crcTable[(byte)(crc ^ b)] ^ (crc >> 8);
        }

        return ~crc;
    }

    private static readonly uint[] s_crcTable = MakeTable();

    private static uint[] MakeTable()
    {
        uint[] table = new uint[256];
        for (uint i = 0; i < table.Length; i++)
        {
            uint value = i;
            for (int bit = 0; bit < 8; bit++)
            {
                value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320 : 0);
            }

            table[i] = value;
        }

        return table;
    }
}
