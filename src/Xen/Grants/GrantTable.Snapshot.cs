using System.Globalization;
using Dbt.Xen.Abi;
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

            writer.UInt32((uint)HighestFrames);
            writer.UInt32((uint)HighestMapFrames);
            writer.Byte((byte)HighestVersion);
            writer.UInt32((uint)_frames.Count);
            foreach (uint mfn in _frames)
            {
                HypervisorPage.Write(writer, Domain, mfn);
            }

            writer.Byte((byte)Version);
            writer.UInt32((uint)_statusFrames.Count);
            foreach (uint mfn in _statusFrames)
            {
                HypervisorPage.Write(writer, Domain, mfn);
            }
        }
    }

    /// <summary>Takes them up, in a domain whose table has none.</summary>
    internal void Restore(SectionReader reader)
    {
        HighestFrames = (int)reader.UInt32(1, MaxFrames, "the limit of frames");
        HighestMapFrames = (int)reader.UInt32(0, MaxMapFrames, "the limit of mappings");
        HighestVersion = reader.Byte();
        int count = reader.Count(HighestFrames, Layout.PageSize, "frames");
        lock (_lock)
        {
            for (int i = 0; i < count; i++)
            {
                _frames.Add(HypervisorPage.Read(reader, Domain));
            }

            Array.Resize(ref _pins, _frames.Count * GrantEntry1.PerFrame);
            Version = reader.Byte();
            if (Version is not (1 or 2) || Version > HighestVersion)
            {
                int version = Version;
                Version = 1;
                throw reader.Error($"a grant table of version {version} can't be here");
            }

            int statuses = reader.Count(StatusFramesFor(MaxFrames), Layout.PageSize, "status frames");
            for (int i = 0; i < statuses; i++)
            {
                _statusFrames.Add(HypervisorPage.Read(reader, Domain));
            }

            if (Version == 2 && !TryGrowStatus(_frames.Count))
            {
                throw new SnapshotException("the machine has no memory left for the guest");
            }

            ClearUse();
        }

        reader.End();
    }

    private void ClearUse()
    {
        const uint inUse = GrantFlags.Reading | GrantFlags.Writing;
        for (uint i = 0; i < _frames.Count * EntriesPerFrame; i++)
        {
            if (Version == 2)
            {
                ChangeStatus(i, 0, inUse);
            }
            else if ((EntryAt(i)->Header & GrantFlags.TypeMask) == GrantFlags.PermitAccess)
            {
                EntryAt(i)->Header &= ~inUse;
            }
        }
    }
}
