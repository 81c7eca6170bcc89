using Dbt.Xen.Snapshot;

namespace Dbt.Xen.Processor;

/// <content>Going on elsewhere: a processor that was given a state, and not brought up yet.</content>
internal sealed partial record FirstEntry
{
    /// <summary>Writes it.</summary>
    public void Capture(SectionWriter writer)
    {
        writer.UInt16(To.Cs);
        writer.UInt32(To.Eip);
        writer.UInt32(To.Eflags);
        writer.UInt16(To.Ss);
        writer.UInt32(To.Esp);
        foreach (ushort selector in (ReadOnlySpan<ushort>)[Data.Ds, Data.Es, Data.Fs, Data.Gs])
        {
            writer.UInt16(selector);
        }
    }

    /// <summary>Reads it. Its segments are looked at when the processor starts.</summary>
    public static FirstEntry Read(SectionReader reader)
    {
        var to = new ReturnPoint(Selectors.ForGuest(reader.UInt16()), reader.UInt32(), reader.UInt32(), Selectors.ForGuest(reader.UInt16()), reader.UInt32());
        return new FirstEntry(to, new DataSelectors(reader.UInt16(), reader.UInt16(), reader.UInt16(), reader.UInt16()));
    }
}
