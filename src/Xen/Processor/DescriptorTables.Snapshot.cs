using Dbt.Xen.Abi;
using Dbt.Xen.Memory;
using Dbt.Xen.Snapshot;

namespace Dbt.Xen.Processor;

/// <content>Going on elsewhere. The LDT's pages are looked up again when they are needed.</content>
internal sealed unsafe partial class DescriptorTables
{
    /// <summary>Writes which tables are set.</summary>
    public void Capture(SectionWriter writer)
    {
        writer.UInt32(GdtEntries);
        for (int i = 0; i < Pages(GdtEntries); i++)
        {
            writer.UInt32(_gdtFrames[i]);
        }

        writer.UInt32(_ldtBase);
        writer.UInt32(LdtEntries);
    }

    /// <summary>Sets them, as the hypercalls do.</summary>
    /// <param name="reader">The section.</param>
    /// <param name="memory">Knows where frames are that were elsewhere.</param>
    public void Restore(SectionReader reader, DomainMemory memory)
    {
        uint entries = reader.UInt32(0, Layout.FirstReservedGdtEntry, "the number of GDT entries");
        Span<uint> frames = stackalloc uint[Pages(entries)];
        foreach (ref uint frame in frames)
        {
            frame = memory.Relocated(reader.UInt32());
        }

        if (SetGdt(frames, entries) != 0)
        {
            throw reader.Error("a page of the GDT can't be one");
        }

        uint linear = reader.UInt32(), count = reader.UInt32(0, MaxLdtEntries, "the number of LDT entries");
        if ((linear & (Layout.PageSize - 1)) != 0 || linear >= Layout.HypervisorStart)
        {
            throw reader.Error("the LDT lies where none can be");
        }

        SetLdt(linear, count);
    }

    private static int Pages(uint entries) => (int)((entries + EntriesPerPage - 1) / EntriesPerPage);
}
