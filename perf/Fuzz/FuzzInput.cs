using System.Buffers.Binary;

namespace Dbt.Perf.Fuzz;

/// <summary>
/// One case: bytes from which an attack draws all its decisions, so that the same bytes make the same attack. Behind the end everything is
/// 0, by which every loop over them ends.
/// </summary>
internal sealed class FuzzInput(byte[] bytes)
{
    private int _at;

    /// <summary>Whether there is something left to draw.</summary>
    public bool HasMore => _at < bytes.Length;

    /// <summary>The next byte.</summary>
    public byte Byte() => _at < bytes.Length ? bytes[_at++] : (byte)0;

    /// <summary>Two bytes.</summary>
    public ushort Word() => (ushort)(Byte() | (Byte() << 8));

    /// <summary>Four bytes.</summary>
    public uint Dword() => (uint)(Word() | (Word() << 16));

    /// <summary>0 to <paramref name="limit"/> - 1, with <paramref name="limit"/> at most 65,536; one byte where that is enough.</summary>
    public int Below(int limit) => limit <= 1 ? 0 : limit <= 256 ? Byte() % limit : Word() % limit;

    /// <summary>True once in <paramref name="times"/>.</summary>
    public bool OneIn(int times) => Byte() % times == times - 1;

    /// <summary>One of some things.</summary>
    public T Of<T>(ReadOnlySpan<T> choices) => choices[Below(choices.Length)];

    /// <summary>Bytes as they are.</summary>
    public void Fill(Span<byte> destination)
    {
        int count = Math.Min(destination.Length, bytes.Length - _at);
        bytes.AsSpan(_at, count).CopyTo(destination);
        destination[count..].Clear();
        _at += count;
    }

    /// <summary>A seed for what would need too many.</summary>
    public int Seed()
    {
        Span<byte> seed = stackalloc byte[4];
        Fill(seed);
        return BinaryPrimitives.ReadInt32LittleEndian(seed);
    }
}
