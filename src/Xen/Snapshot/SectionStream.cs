using System.Buffers.Binary;
using System.Globalization;

namespace Dbt.Xen.Snapshot;

/// <summary>Reads sections one after the other from a stream, checking lengths and checksums.</summary>
public sealed class SectionStream(Stream stream)
{
    /// <summary>Most bytes that a section's fields may have: 4 MiB.</summary>
    public const int MostBytes = 4 << 20;

    private readonly byte[] _header = new byte[StateWriter.HeaderBytes];

    /// <summary>The next section; one of <see cref="SectionType.End"/> ends the list.</summary>
    /// <exception cref="SnapshotException">The stream ends, or what comes is damaged.</exception>
    public SectionReader Next()
    {
        Fill(_header);
        var type = (SectionType)BinaryPrimitives.ReadUInt32LittleEndian(_header);
        uint instance = BinaryPrimitives.ReadUInt32LittleEndian(_header.AsSpan(4));
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(_header.AsSpan(8));
        if (length > MostBytes)
        {
            throw new SnapshotException(string.Create(CultureInfo.InvariantCulture, $"saved state, section {type} {instance}: {length} bytes are too many; it is damaged"));
        }

        byte[] fields = new byte[length];
        Fill(fields);
        if (SectionChecksum.Of(_header.AsSpan(0, 12), fields) != BinaryPrimitives.ReadUInt32LittleEndian(_header.AsSpan(12)))
        {
            throw new SnapshotException(string.Create(CultureInfo.InvariantCulture, $"saved state, section {type} {instance}: its checksum is wrong; it is damaged"));
        }

        return new SectionReader(type, instance, fields);
    }

    private void Fill(Span<byte> bytes)
    {
        if (stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false) != bytes.Length)
        {
            throw new SnapshotException("the saved state ends in the middle: it was cut off");
        }
    }
}
