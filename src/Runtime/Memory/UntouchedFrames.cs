using Dbt.Translator.Memory;

namespace Dbt.Runtime.Memory;

/// <summary>
/// Which frames nobody has touched: they are zero, and the host has no memory for them. Who copies all of a guest's memory leaves them out, as even a look at one costs a page fault, and later the
/// host's work to take it away again. By the holes of the machine's file (SEEK_DATA); where the host doesn't tell of any, there are none.
/// </summary>
public sealed class UntouchedFrames
{
    private readonly bool[] _touched;

    /// <summary>Looks at frames 0 to <paramref name="end"/> - 1. One that is touched meanwhile is in it or not.</summary>
    internal UntouchedFrames(MachineMemory machine, MemoryFile file, uint end)
    {
        _touched = new bool[end];
        for (ulong from = 0; from < (ulong)end << 12 && file.TryFindData(from, out ulong start, out ulong stop); from = stop)
        {
            Touch((uint)(start >> 12), (uint)((stop + 4095) >> 12));
        }

        machine.ForEachMapped(frames => Touch(frames.First, frames.First + frames.Count));

        void Touch(uint first, uint behind)
        {
            first = Math.Min(first, end);
            Array.Fill(_touched, true, (int)first, (int)(Math.Min(behind, end) - first));
        }
    }

    /// <summary>Whether it is one.</summary>
    public bool Contains(uint mfn) => mfn < _touched.Length && !_touched[mfn];
}
