using System.Buffers.Binary;

namespace Dbt.Xen.Snapshot;

/// <summary>
/// Writes sections to a stream: a header of 16 bytes (type, instance, length, CRC-32C of the three and of the fields) and the fields. The stream
/// is neither flushed nor closed.
/// </summary>
public sealed class StateWriter(Stream stream)
{
    /// <summary>Bytes before each section's fields.</summary>
    public const int HeaderBytes = 16;

    /// <summary>Bytes written so far.</summary>
    public long Length { get; private set; }

    /// <summary>Writes a section.</summary>
    /// <param name="type">What it is.</param>
    /// <param name="instance">Of which; 0 where there is one.</param>
    /// <param name="fields">Writes its fields.</param>
    public void Section(SectionType type, uint instance, Action<SectionWriter> fields)
    {
        var writer = new SectionWriter();
        fields(writer);
        Section(type, instance, writer.Written);
    }

    /// <summary>Writes a section of which there is one.</summary>
    public void Section(SectionType type, Action<SectionWriter> fields) => Section(type, 0, fields);

    /// <summary>Writes a section whose fields are there already.</summary>
    public void Section(SectionType type, uint instance, ReadOnlySpan<byte> fields)
    {
        Span<byte> header = stackalloc byte[HeaderBytes];
        BinaryPrimitives.WriteUInt32LittleEndian(header, (uint)type);
        BinaryPrimitives.WriteUInt32LittleEndian(header[4..], instance);
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], (uint)fields.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(header[12..], SectionChecksum.Of(header[..12], fields));
        stream.Write(header);
        stream.Write(fields);
        Length += HeaderBytes + fields.Length;
    }

    /// <summary>Ends the list of sections.</summary>
    public void End() => Section(SectionType.End, 0, []);
}
