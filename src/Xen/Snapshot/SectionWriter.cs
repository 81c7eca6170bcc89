using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Dbt.Xen.Snapshot;

/// <summary>Writes one section's fields, little-endian, one behind the other without padding.</summary>
public sealed class SectionWriter
{
    private readonly ArrayBufferWriter<byte> _buffer = new(256);

    /// <summary>What was written.</summary>
    public ReadOnlySpan<byte> Written => _buffer.WrittenSpan;

    /// <summary>One byte.</summary>
    public void Byte(byte value) => Bytes([value]);

    /// <summary>One byte, 0 or 1.</summary>
    public void Flag(bool value) => Byte(value ? (byte)1 : (byte)0);

    /// <summary>Two bytes.</summary>
    public void UInt16(ushort value)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(_buffer.GetSpan(2), value);
        _buffer.Advance(2);
    }

    /// <summary>Four bytes.</summary>
    public void UInt32(uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(_buffer.GetSpan(4), value);
        _buffer.Advance(4);
    }

    /// <summary>Eight bytes.</summary>
    public void UInt64(ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(_buffer.GetSpan(8), value);
        _buffer.Advance(8);
    }

    /// <summary>Eight bytes, signed.</summary>
    public void Int64(long value) => UInt64((ulong)value);

    /// <summary>Bytes as they are; the reader knows how many.</summary>
    public void Bytes(ReadOnlySpan<byte> bytes) => _buffer.Write(bytes);

    /// <summary>Bytes behind their number, in four bytes.</summary>
    public void Block(ReadOnlySpan<byte> bytes)
    {
        UInt32((uint)bytes.Length);
        Bytes(bytes);
    }

    /// <summary>Text as a block of UTF-8.</summary>
    public void Text(string text) => Block(Encoding.UTF8.GetBytes(text));

    /// <summary>The 16 bytes of a UUID, in the order of its text.</summary>
    public void Uuid(Guid value) => Bytes(value.ToByteArray(bigEndian: true));
}
