namespace Dbt.Devices;

/// <summary>Single fetches and stores of a shared page's fields, ordered: a read acquires, a write releases.</summary>
internal static unsafe class SharedPageExtensions
{
    /// <summary>Fetches a 32-bit field once.</summary>
    public static uint Read32(this ISharedPage page, int offset) => Volatile.Read(ref *(uint*)(page.Host + offset));

    /// <summary>Stores a 32-bit field after everything written before it.</summary>
    public static void Write32(this ISharedPage page, int offset, uint value)
    {
        Volatile.Write(ref *(uint*)(page.Host + offset), value);
        page.MarkWritten(offset, 4);
    }

    /// <summary>Copies out of a byte ring that starts at <paramref name="start"/>; <paramref name="size"/> is a power of two.</summary>
    public static void ReadRing(this ISharedPage page, int start, int size, uint index, Span<byte> destination)
    {
        int offset = (int)(index & (uint)(size - 1));
        int first = Math.Min(destination.Length, size - offset);
        new ReadOnlySpan<byte>(page.Host + start + offset, first).CopyTo(destination);
        new ReadOnlySpan<byte>(page.Host + start, destination.Length - first).CopyTo(destination[first..]);
    }

    /// <summary>Copies into a byte ring that starts at <paramref name="start"/>; <paramref name="size"/> is a power of two.</summary>
    public static void WriteRing(this ISharedPage page, int start, int size, uint index, ReadOnlySpan<byte> source)
    {
        int offset = (int)(index & (uint)(size - 1));
        int first = Math.Min(source.Length, size - offset);
        source[..first].CopyTo(new Span<byte>(page.Host + start + offset, first));
        source[first..].CopyTo(new Span<byte>(page.Host + start, source.Length - first));
        page.MarkWritten(start + offset, first);
        if (source.Length > first)
        {
            page.MarkWritten(start, source.Length - first);
        }
    }
}
