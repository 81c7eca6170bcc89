using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Dbt.Runtime.Memory;

/// <summary>
/// Which frames nobody has touched: they are zero, and the host has no memory for them. Who copies all of a guest's memory leaves them out, as even a look at one costs a page fault, and later the
/// host's work to take it away again. By /proc/self/pagemap (Documentation/admin-guide/mm/pagemap.rst); where that can't be read, there are none.
/// </summary>
public sealed class UntouchedFrames
{
    private const int ChunkFrames = 1 << 14, EntryBytes = 8;
    private const ulong SwappedOrPresent = 3UL << 62;

    private readonly bool[] _untouched = [];

    /// <summary>Looks at frames 0 to <paramref name="end"/> - 1. One that is touched meanwhile is in it or not.</summary>
    internal unsafe UntouchedFrames(MachineMemory machine, uint end)
    {
        try
        {
            using SafeFileHandle map = File.OpenHandle("/proc/self/pagemap");
            bool[] untouched = new bool[end];
            ulong[] entries = new ulong[ChunkFrames];
            ulong page = (ulong)machine.Base >> 12;
            for (uint first = 0; first < end;)
            {
                int count = (int)Math.Min(ChunkFrames, end - first);
                int read = RandomAccess.Read(map, MemoryMarshal.AsBytes(entries.AsSpan(0, count)), (long)((page + first) * EntryBytes)) / EntryBytes;
                if (read == 0)
                {
                    return;
                }

                for (int i = 0; i < read; i++)
                {
                    untouched[first + i] = (entries[i] & SwappedOrPresent) == 0;
                }

                first += (uint)read;
            }

            machine.ForEachMapped(frames =>
            {
                uint first = Math.Min(frames.First, end);
                Array.Clear(untouched, (int)first, (int)Math.Min(frames.Count, end - first));
            });
            _untouched = untouched;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Nobody says: all is looked at.
        }
    }

    /// <summary>Whether it is one.</summary>
    public bool Contains(uint mfn) => mfn < _untouched.Length && _untouched[mfn];
}
