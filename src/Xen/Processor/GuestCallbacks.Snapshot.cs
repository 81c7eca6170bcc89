using Dbt.Xen.Snapshot;

namespace Dbt.Xen.Processor;

/// <content>Going on elsewhere.</content>
internal sealed partial class GuestCallbacks
{
    /// <summary>Writes them.</summary>
    public void Capture(SectionWriter writer)
    {
        Write(writer, Event.Selector, Event.Address, false);
        Write(writer, Failsafe.Selector, Failsafe.Address, FailsafeMasksEvents);
        Write(writer, SystemEnter.Selector, SystemEnter.Address, SystemEnter.MasksEvents);
        Write(writer, SystemCall.Selector, SystemCall.Address, SystemCall.MasksEvents);
        writer.Flag(InNmi);
    }

    /// <summary>Reads them.</summary>
    public void Restore(SectionReader reader)
    {
        (ushort selector, uint address, _) = Read(reader);
        Event = (selector, address);
        (selector, address, FailsafeMasksEvents) = Read(reader);
        Failsafe = (selector, address);
        SystemEnter = Read(reader);
        SystemCall = Read(reader);
        InNmi = reader.Flag();
    }

    private static void Write(SectionWriter writer, ushort selector, uint address, bool masks)
    {
        writer.UInt16(selector);
        writer.UInt32(address);
        writer.Flag(masks);
    }

    private static (ushort Selector, uint Address, bool Masks) Read(SectionReader reader)
    {
        ushort selector = reader.UInt16();
        return (selector == 0 ? selector : Selectors.ForGuest(selector), reader.UInt32(), reader.Flag());
    }
}
