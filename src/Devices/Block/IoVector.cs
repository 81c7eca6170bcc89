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
