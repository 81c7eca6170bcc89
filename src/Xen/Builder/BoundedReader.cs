namespace Dbt.Xen.Builder;

/// <summary>Reads a stream to its end, but never more than a kernel image may hold: a small file can decompress to terabytes.</summary>
internal static class BoundedReader
{
    /// <summary>Most bytes that a kernel image may have once decompressed.</summary>
    public const int MaxImageBytes = 512 << 20;

    private const int ChunkBytes = 1 << 20;

    /// <summary>Everything that <paramref name="stream"/> still gives.</summary>
    /// <exception cref="KernelFormatException">More than <paramref name="limit"/> bytes.</exception>
    public static byte[] ReadAll(Stream stream, int limit)
    {
        using var result = new MemoryStream();
        byte[] chunk = new byte[ChunkBytes];
        int count;
        while ((count = stream.Read(chunk)) > 0)
        {
            if (result.Length + count > limit)
            {
                throw TooLarge(limit);
            }

            result.Write(chunk, 0, count);
        }

        return result.ToArray();
    }

    /// <summary>The error for an image beyond the limit.</summary>
    public static KernelFormatException TooLarge(int limit) =>
        new($"the kernel image is larger than {limit >> 20} MiB when decompressed");
}
