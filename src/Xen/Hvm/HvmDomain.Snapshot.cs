using Dbt.Xen.Snapshot;

namespace Dbt.Xen.Hvm;

/// <content>Going on elsewhere.</content>
internal sealed partial class HvmDomain
{
    private const int MostRanges = 128, RangeBytes = 20;

    /// <summary>Writes the parameters and the memory map.</summary>
    public void Capture(SectionWriter writer)
    {
        writer.UInt32(HvmParameters.Count);
        for (uint i = 0; i < HvmParameters.Count; i++)
        {
            writer.UInt64(Parameters[i]);
        }

        writer.UInt32((uint)MemoryMap.Count);
        foreach (MemoryRange range in MemoryMap)
        {
            writer.UInt64(range.Start);
            writer.UInt64(range.Bytes);
            writer.UInt32(range.Type);
        }
    }

    /// <summary>Takes them up. Where the rings are, and their ports, is the domain's to say.</summary>
    public void Restore(SectionReader reader)
    {
        int count = reader.Count((int)HvmParameters.Count, sizeof(ulong), "parameters");
        for (uint i = 0; i < count; i++)
        {
            Parameters[i] = reader.UInt64();
        }

        var map = new MemoryRange[reader.Count(MostRanges, RangeBytes, "ranges of memory")];
        foreach (ref MemoryRange range in map.AsSpan())
        {
            range = new MemoryRange(reader.UInt64(), reader.UInt64(), reader.UInt32());
        }

        MemoryMap = map;
        reader.End();
    }
}
