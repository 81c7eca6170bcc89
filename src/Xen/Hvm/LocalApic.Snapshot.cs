using Dbt.Xen.Snapshot;

namespace Dbt.Xen.Hvm;

/// <content>Going on elsewhere.</content>
internal sealed partial class LocalApic
{
    // What a guest's writes leave in each local entry: timer, thermal, counter, LINT0, LINT1, error.
    private static readonly uint[] EntryBits = [0x300FF, 0x107FF, 0x107FF, 0x1A7FF, 0x1A7FF, 0x100FF];

    /// <summary>Writes its registers. No interrupt is on its way.</summary>
    public void Capture(SectionWriter writer)
    {
        foreach (uint[] bank in (ReadOnlySpan<uint[]>)[_requested, _inService, _entries])
        {
            foreach (uint word in bank)
            {
                writer.UInt32(word);
            }
        }

        foreach (uint word in (ReadOnlySpan<uint>)[_taskPriority, _logical, _format, _spurious, _commandLow, _commandHigh, _errors, _errorsShown])
        {
            writer.UInt32(word);
        }

        Timer.Capture(writer);
    }

    /// <summary>Takes them up, as far as a guest could have made them so.</summary>
    public void Restore(SectionReader reader, long now)
    {
        // Vectors below 16 are exceptions.
        const uint noExceptions = 0xFFFF0000;
        foreach (uint[] bank in (ReadOnlySpan<uint[]>)[_requested, _inService])
        {
            for (int i = 0; i < bank.Length; i++)
            {
                bank[i] = reader.UInt32() & (i == 0 ? noExceptions : uint.MaxValue);
            }
        }

        for (int i = 0; i < _entries.Length; i++)
        {
            _entries[i] = reader.UInt32() & EntryBits[i];
        }

        _taskPriority = reader.UInt32() & 0xFF;
        _logical = reader.UInt32() & 0xFF000000;
        _format = reader.UInt32() | 0x0FFFFFFF;
        _spurious = reader.UInt32() & 0x3FF;
        _commandLow = reader.UInt32() & 0xCDFFF & ~DeliveryPending;
        _commandHigh = reader.UInt32() & 0xFF000000;
        _errors = reader.UInt32() & 0xFF;
        _errorsShown = reader.UInt32() & 0xFF;
        Timer.Restore(reader, now);
    }
}
