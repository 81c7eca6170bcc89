using System.Buffers.Binary;
using System.IO.Compression;
using K4os.Compression.LZ4;
using SharpCompress.Compressors.BZip2;
using SharpCompress.Compressors.LZMA;

namespace Dbt.Xen.Builder;

/// <summary>The compressions that kernels come in, recognised by their first bytes.</summary>
internal static class Decompression
{
    private static readonly byte[] Gzip = [0x1F, 0x8B], Xz = [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00], Lzma = [0x5D, 0x00, 0x00];
    private static readonly byte[] Bzip2 = "BZh"u8.ToArray(), Lz4Legacy = [0x02, 0x21, 0x4C, 0x18], Zstd = [0x28, 0xB5, 0x2F, 0xFD];
    private static readonly byte[] Lzo = [0x89, 0x4C, 0x5A, 0x4F, 0x00, 0x0D, 0x0A, 0x1A, 0x0A];

    // The uncompressed size behind a bzImage's payload.
    private const int SizeBytes = 4;

    // LZMA alone: properties byte, dictionary size, uncompressed size.
    private const int LzmaHeaderBytes = 13, LzmaPropertyBytes = 5;

    // The legacy LZ4 frame's blocks decompress to at most 8 MiB each.
    private const int Lz4BlockBytes = 8 << 20;

    /// <summary>Decompresses, or gives <paramref name="data"/> back where it is an ELF file already.</summary>
    /// <param name="data">Compressed bytes.</param>
    /// <param name="insideBzImage">Linux's build appends the uncompressed size, 4 bytes, to every format but gzip.</param>
    /// <param name="limit">Most bytes that may come out.</param>
    /// <returns>Null where the compression isn't known.</returns>
    /// <exception cref="KernelFormatException">The data is damaged or too large.</exception>
    public static byte[]? Expand(ReadOnlySpan<byte> data, bool insideBzImage, int limit)
    {
        if (ElfImage.HasMagic(data))
        {
            return data.ToArray();
        }

        if (data.StartsWith(Lzo))
        {
            return LzoDecompressor.TryExpand(data, limit) ?? throw Damaged("lzo", null);
        }

        if (data.StartsWith(Gzip))
        {
            return Run("gzip", data, limit, stream => new GZipStream(stream, CompressionMode.Decompress));
        }

        if (data.StartsWith(Xz))
        {
            return ExpandXz(data, limit);
        }

        if (data.StartsWith(Bzip2))
        {
            return Run("bzip2", data, limit, stream => BZip2Stream.Create(stream, SharpCompress.Compressors.CompressionMode.Decompress, false));
        }

        if (data.StartsWith(Zstd))
        {
            return ExpandZstd(data, insideBzImage, limit);
        }

        if (data.StartsWith(Lz4Legacy))
        {
            return ExpandLz4(insideBzImage && data.Length > SizeBytes + Lz4Legacy.Length ? data[..^SizeBytes] : data, limit);
        }

        return data.StartsWith(Lzma) && data.Length > LzmaHeaderBytes ? ExpandLzma(data, limit) : null;
    }

    private static byte[] ExpandZstd(ReadOnlySpan<byte> data, bool insideBzImage, int limit)
    {
        // The library takes what follows a frame for another frame, so the size has to go; a payload made without it is whole as it is.
        if (insideBzImage && data.Length > SizeBytes)
        {
            try
            {
                return Run("zstd", data[..^SizeBytes], limit, Open);
            }
            catch (KernelFormatException exception) when (exception.InnerException is not null)
            {
            }
        }

        return Run("zstd", data, limit, Open);

        static Stream Open(Stream stream) => new ZstdSharp.DecompressionStream(stream);
    }

    private static byte[] ExpandXz(ReadOnlySpan<byte> data, int limit)
    {
        try
        {
            return XzDecompressor.Expand(data, limit);
        }
        catch (Exception exception) when (exception is not (KernelFormatException or OutOfMemoryException))
        {
            throw Damaged("xz", exception); // whatever the library stumbled over
        }
    }

    private static byte[] ExpandLzma(ReadOnlySpan<byte> data, int limit)
    {
        byte[] properties = data[..LzmaPropertyBytes].ToArray();
        long size = BinaryPrimitives.ReadInt64LittleEndian(data[LzmaPropertyBytes..]);
        uint dictionary = BinaryPrimitives.ReadUInt32LittleEndian(properties.AsSpan(1));
        if (dictionary > BoundedReader.MaxImageBytes || size > limit)
        {
            throw BoundedReader.TooLarge(limit);
        }

        return Run("lzma", data[LzmaHeaderBytes..], limit, stream => LzmaStream.Create(properties, stream, -1, size));
    }

    private static byte[] ExpandLz4(ReadOnlySpan<byte> data, int limit)
    {
        using var result = new MemoryStream();
        byte[] block = new byte[Lz4BlockBytes];
        ReadOnlySpan<byte> rest = data[Lz4Legacy.Length..];
        while (rest.Length >= 4)
        {
            uint size = BinaryPrimitives.ReadUInt32LittleEndian(rest);
            if (size == BinaryPrimitives.ReadUInt32LittleEndian(Lz4Legacy))
            {
                rest = rest[4..]; // another frame follows; each has blocks of its own
                continue;
            }

            int count = size == 0 || size > (uint)(rest.Length - 4) ? -1 : LZ4Codec.Decode(rest.Slice(4, (int)size), block);
            if (count < 0)
            {
                throw Damaged("lz4", null);
            }

            if (result.Length + count > limit)
            {
                throw BoundedReader.TooLarge(limit);
            }

            result.Write(block, 0, count);
            rest = rest[(4 + (int)size)..];
        }

        return result.ToArray();
    }

    private static unsafe byte[] Run(string name, ReadOnlySpan<byte> data, int limit, Func<Stream, Stream> open)
    {
        fixed (byte* start = data)
        {
            using var source = new UnmanagedMemoryStream(start, data.Length);
            try
            {
                using Stream stream = open(source);
                return BoundedReader.ReadAll(stream, limit);
            }
            catch (Exception exception) when (exception is not (KernelFormatException or OutOfMemoryException))
            {
                // The decompressors report damaged data with whatever they stumble over; what it was makes no difference to the user.
                throw Damaged(name, exception);
            }
        }
    }

    private static KernelFormatException Damaged(string name, Exception? inner) => inner is null
        ? new KernelFormatException($"the kernel's {name} data is damaged or truncated")
        : new KernelFormatException($"the kernel's {name} data is damaged or truncated", inner);
}
