using System.Globalization;
using Dbt.Xen.Abi;
using Dbt.Xen.Memory;
using Dbt.Xen.Snapshot;

namespace Dbt.Xen.Grants;

/// <content>
/// Going on elsewhere. Back ends have let go of everything; so no entry is in use, and the flags that say so are cleared, to be set again by whoever
/// takes a grant into use there.
/// </content>
public sealed unsafe partial class GrantTable
{
    /// <summary>Writes the table's frames.</summary>
    /// <exception cref="SnapshotException">Another domain uses a grant, or the guest uses one of another domain.</exception>
    internal void Capture(SectionWriter writer)
    {
        lock (_mappingLock)
        {
            if (_foreignCount != 0)
            {
                throw new SnapshotException($"{Domain.Name} has mapped grants; guests that share memory with one another can't be saved or moved");
            }
        }

        lock (_lock)
        {
            int used = Array.FindIndex(_pins, static pin => pin.InUse);
            if (used >= 0)
            {
                throw new SnapshotException(string.Create(CultureInfo.InvariantCulture,
                    $"grant {used} of {Domain.Name} is in use by domain {_pins[used].Mapper}; guests that share memory with one another can't be saved or moved"));
            }

            writer.UInt32((uint)_frames.Count);
            foreach (uint mfn in _frames)
            {
                HypervisorPage.Write(writer, Domain, mfn);
            }
        }
    }

    /// <summary>Takes them up, in a domain whose table has none.</summary>
    internal void Restore(SectionReader reader)
    {
        int count = reader.Count(MaxFrames, Layout.PageSize, "frames");
        lock (_lock)
        {
            for (int i = 0; i < count; i++)
            {
                uint mfn = HypervisorPage.Read(reader, Domain);
                _frames.Add(mfn);
                ClearUse((Entry*)Domain.Hypervisor.Machine.Frame(mfn));
            }

            Array.Resize(ref _pins, _frames.Count * EntriesPerFrame);
        }

        reader.End();
    }

    private static void ClearUse(Entry* entries)
    {
        for (int i = 0; i < EntriesPerFrame; i++)
        {
            if ((entries[i].Header & TypeMask) == PermitAccess)
            {
                entries[i].Header &= ~(Reading | Writing);
            }
        }
    }
}
