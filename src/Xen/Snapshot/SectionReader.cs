using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Dbt.Xen.Snapshot;

/// <summary>
/// Reads one section's fields as <see cref="SectionWriter"/> wrote them. Nothing of it is believed: what goes beyond the end, or beyond the bounds
/// that the caller gives, is a <see cref="SnapshotException"/>.
/// </summary>
public sealed class SectionReader
{
    private readonly ReadOnlyMemory<byte> _bytes;
    private int _at;

    /// <param name="type">What it is.</param>
    /// <param name="instance">Of which.</param>
    /// <param name="bytes">The fields.</param>
    public SectionReader(SectionType type, uint instance, ReadOnlyMemory<byte> bytes)
    {
        Type = type;
        Instance = instance;
        _bytes = bytes;
    }

    /// <summary>What it is.</summary>
    public SectionType Type { get; }

    /// <summary>Of which: a processor's id, a device's number.</summary>
    public uint Instance { get; }

    /// <summary>Bytes that were not read.</summary>
    public int Left => _bytes.Length - _at;

    /// <summary>One byte.</summary>
    public byte Byte() => Bytes(1)[0];

    /// <summary>A byte that is 0 or 1.</summary>
    public bool Flag() => Byte() switch
    {
        0 => false,
        1 => true,
        _ => throw Error("a flag is neither 0 nor 1"),
    };

    /// <summary>Two bytes.</summary>
    public ushort UInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Bytes(2));

    /// <summary>Four bytes.</summary>
    public uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Bytes(4));

    /// <summary>Four bytes within bounds, both included.</summary>
    public uint UInt32(uint least, uint most, string what)
    {
        uint value = UInt32();
        return value >= least && value <= most ? value : throw Error(string.Create(CultureInfo.InvariantCulture, $"{what} is {value}, outside {least} to {most}"));
    }

    /// <summary>A number of things that follow, each of so many bytes at least; what can't be there is refused before room is made for it.</summary>
    public int Count(int most, int bytesEach, string what)
    {
        uint value = UInt32(0, (uint)most, $"the number of {what}");
        return (long)value * bytesEach <= Left ? (int)value : throw Error($"there are fewer {what} than it says");
    }

    /// <summary>Eight bytes.</summary>
    public ulong UInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Bytes(8));

    /// <summary>Eight bytes, signed.</summary>
    public long Int64() => (long)UInt64();

    /// <summary>Eight bytes, signed, within bounds, both included.</summary>
    public long Int64(long least, long most, string what)
    {
        long value = Int64();
        return value >= least && value <= most ? value : throw Error(string.Create(CultureInfo.InvariantCulture, $"{what} is {value}, outside {least} to {most}"));
    }

    /// <summary>So many bytes.</summary>
    public ReadOnlySpan<byte> Bytes(int count)
    {
        if (count > Left)
        {
            throw Error("it ends too early");
        }

        _at += count;
        return _bytes.Span.Slice(_at - count, count);
    }

    /// <summary>Bytes behind their number.</summary>
    public ReadOnlySpan<byte> Block(int most) => Bytes((int)UInt32(0, (uint)most, "a length"));

    /// <summary>Text.</summary>
    /// <param name="most">Bytes of UTF-8 at most.</param>
    public string Text(int most) => Encoding.UTF8.GetString(Block(most));

    /// <summary>A UUID.</summary>
    public Guid Uuid() => new(Bytes(16), bigEndian: true);

    /// <summary>A reader of the same fields that begins with the first.</summary>
    public SectionReader Copy() => new(Type, Instance, _bytes);

    /// <summary>Nothing may be left.</summary>
    public void End()
    {
        if (Left != 0)
        {
            throw Error("it has more than belongs there");
        }
    }

    /// <summary>What to throw of something wrong in this section.</summary>
    public SnapshotException Error(string what) => new(string.Create(CultureInfo.InvariantCulture, $"saved state, section {Type} {Instance}: {what}"));
}
