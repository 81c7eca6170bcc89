using System.Runtime.InteropServices;

namespace Dbt.Devices.Block;

/// <summary>A piece of memory for preadv and pwritev (struct iovec).</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct IoVector
{
    /// <summary>First byte.</summary>
    public byte* Start;

    /// <summary>Number of bytes.</summary>
    public nuint Length;

    /// <summary>The length of all pieces.</summary>
    public static ulong Bytes(ReadOnlySpan<IoVector> vectors)
    {
        ulong bytes = 0;
        foreach (IoVector vector in vectors)
        {
            bytes += vector.Length;
        }

        return bytes;
    }

    /// <summary>Takes so many bytes off the front, as pieces of their own.</summary>
    /// <param name="vectors">What is left; is changed, the pieces themselves too.</param>
    /// <param name="bytes">At most the length of all pieces.</param>
    /// <param name="room">For as many pieces as there are.</param>
    /// <returns>The part of <paramref name="room"/> that has them.</returns>
    public static Span<IoVector> Take(ref Span<IoVector> vectors, ulong bytes, Span<IoVector> room)
    {
        int count = 0;
        for (ulong left = bytes; left != 0; count++)
        {
            room[count] = vectors[count];
            room[count].Length = (nuint)Math.Min(left, vectors[count].Length);
            left -= room[count].Length;
        }

        Advance(ref vectors, (long)bytes);
        return room[..count];
    }

    /// <summary>Takes what was transferred off the front.</summary>
    /// <param name="vectors">What is left to transfer; is changed, the pieces themselves too.</param>
    /// <param name="bytes">At most the length of all pieces.</param>
    public static void Advance(ref Span<IoVector> vectors, long bytes)
    {
        var count = (nuint)bytes;
        while (!vectors.IsEmpty && count >= vectors[0].Length)
        {
            count -= vectors[0].Length;
            vectors = vectors[1..];
        }

        if (count > 0)
        {
            vectors[0].Start += count;
            vectors[0].Length -= count;
        }
    }
}
