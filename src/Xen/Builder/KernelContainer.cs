using System.Buffers.Binary;

namespace Dbt.Xen.Builder;

/// <summary>
/// Takes a kernel file out of its wrapping: a plain ELF file, an ELF file or bzImage compressed as a whole, or Linux's bzImage whose
/// payload is a compressed ELF file (Linux, Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length).
/// </summary>
internal static class KernelContainer
{
    private const int SetupSectorsOffset = 0x1F1, BootFlagOffset = 0x1FE, HeaderMagicOffset = 0x202, HeaderVersionOffset = 0x206;
    private const int PayloadOffsetOffset = 0x248, PayloadLengthOffset = 0x24C, HeaderEnd = 0x250;
    private const ushort BootFlag = 0xAA55, FirstVersionWithPayload = 0x0208;
    private const uint HeaderMagic = 0x53726448;
    private const int SectorBytes = 512;

    // gzip around a bzImage around a compressed ELF file is the deepest nesting that makes sense.
    private const int MaxDepth = 4;

    /// <summary>The ELF file within a kernel file.</summary>
    /// <param name="file">The file's contents.</param>
    /// <param name="limit">Most bytes that it may decompress to.</param>
    /// <exception cref="KernelFormatException">No kernel is in it.</exception>
    public static byte[] Unwrap(byte[] file, int limit = BoundedReader.MaxImageBytes)
    {
        byte[] image = file;
        for (int depth = 0; depth < MaxDepth; depth++)
        {
            if (ElfImage.HasMagic(image))
            {
                return image;
            }

            if (IsBzImage(image))
            {
                image = Decompression.Expand(Payload(image), insideBzImage: true, limit)
                    ?? throw new KernelFormatException("the bzImage's payload is neither an ELF file nor compressed in a known way");
                continue;
            }

            image = Decompression.Expand(image, insideBzImage: false, limit) ?? throw NotAKernel(file.Length, depth);
        }

        throw new KernelFormatException("not a kernel: compressed more than three times over");
    }

    private static KernelFormatException NotAKernel(int fileLength, int depth) => fileLength == 0
        ? new KernelFormatException("the kernel file is empty")
        : depth == 0
            ? new KernelFormatException("not a kernel: neither an ELF file, nor a bzImage, nor a compressed one")
            : new KernelFormatException("not a kernel: what it decompresses to is neither an ELF file nor a bzImage");

    private static bool IsBzImage(ReadOnlySpan<byte> image) =>
        image.Length >= HeaderEnd
        && BinaryPrimitives.ReadUInt16LittleEndian(image[BootFlagOffset..]) == BootFlag
        && BinaryPrimitives.ReadUInt32LittleEndian(image[HeaderMagicOffset..]) == HeaderMagic;

    private static ReadOnlySpan<byte> Payload(ReadOnlySpan<byte> image)
    {
        ushort version = BinaryPrimitives.ReadUInt16LittleEndian(image[HeaderVersionOffset..]);
        if (version < FirstVersionWithPayload)
        {
            throw new KernelFormatException($"the bzImage's boot protocol {version >> 8}.{version & 0xFF:D2} is older than 2.08 and does not tell where its payload is");
        }

        int sectors = image[SetupSectorsOffset] == 0 ? 4 : image[SetupSectorsOffset];
        ulong start = ((ulong)(sectors + 1) * SectorBytes) + BinaryPrimitives.ReadUInt32LittleEndian(image[PayloadOffsetOffset..]);
        ulong length = BinaryPrimitives.ReadUInt32LittleEndian(image[PayloadLengthOffset..]);
        return start + length <= (ulong)image.Length
            ? image.Slice((int)start, (int)length)
            : throw new KernelFormatException($"the bzImage is truncated: its payload ends at {start + length}, the file at {image.Length}");
    }
}
