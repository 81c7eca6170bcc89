using Dbt.Xen.Abi;

namespace Dbt.Xen.Grants;

/// <content>
/// The table's version (GNTTABOP_set_version). Version 2 has larger entries, and says in frames of its own what of them is in use. Those status frames stay the domain's once it
/// has them: going back to version 1 takes none away, so a mapping of one, by page tables or at a guest frame, can't dangle (XSA-255, XSA-382, XSA-384).
/// </content>
public sealed unsafe partial class GrantTable
{
    // Entries that the toolstack fills in (GNTTAB_NR_RESERVED_ENTRIES): kept over a change of version, and may be in use meanwhile.
    private const int ReservedEntries = 8;

    private readonly List<uint> _statusFrames = [];

    /// <summary>1 or 2.</summary>
    public int Version { get; private set; } = 1;

    /// <summary>The highest version that the guest may ask for (max_grant_version).</summary>
    public int HighestVersion { get; set; } = 2;

    /// <summary>Status frames that the table has: none in version 1.</summary>
    internal int StatusFrameCount
    {
        get
        {
            lock (_lock)
            {
                return Version == 2 && TryGrow(1) ? StatusFramesFor(_frames.Count) : 0;
            }
        }
    }

    /// <summary>Changes the version; all but the reserved entries are lost.</summary>
    /// <returns>0, -EBUSY where others are in use, -ENOMEM, -ENOSYS for a version that isn't offered, -EINVAL for one that doesn't exist.</returns>
    internal int SetVersion(uint version)
    {
        if (version is not (1 or 2))
        {
            return -Errno.EINVAL;
        }

        if (version > HighestVersion)
        {
            return -Errno.ENOSYS;
        }

        lock (_lock)
        {
            if (version == Version)
            {
                return 0;
            }

            for (int i = ReservedEntries; i < _pins.Length; i++)
            {
                if (_pins[i].InUse)
                {
                    return -Errno.EBUSY;
                }
            }

            if (_shut || !TryGrow(1) || (version == 2 && !TryGrowStatus(_frames.Count)))
            {
                return -Errno.ENOMEM;
            }

            Span<(uint Header, uint Frame)> reserved = stackalloc (uint, uint)[ReservedEntries];
            for (uint i = 0; i < ReservedEntries; i++)
            {
                reserved[(int)i] = Version == 1 ? (EntryAt(i)->Header, EntryAt(i)->Frame) : ReadReserved(i);
            }

            foreach (uint frame in _frames)
            {
                new Span<byte>(Domain.Hypervisor.Machine.Frame(frame), Layout.PageSize).Clear();
            }

            Version = (int)version;
            for (uint i = 0; i < ReservedEntries; i++)
            {
                WriteReserved(i, reserved[(int)i].Header, reserved[(int)i].Frame);
            }

            return 0;
        }
    }

    /// <summary>Machine frames of the first status frames.</summary>
    /// <returns>False where the table hasn't as many.</returns>
    internal bool TryGetStatusFrames(Span<ulong> frames)
    {
        lock (_lock)
        {
            if (frames.Length > StatusFrameCount)
            {
                return false;
            }

            for (int i = 0; i < frames.Length; i++)
            {
                frames[i] = _statusFrames[i];
            }

            return true;
        }
    }

    /// <summary>The machine frame of a status frame, growing the table to it; 0 where it can't have as many, or has none.</summary>
    internal uint TryGetStatusFrame(uint index)
    {
        lock (_lock)
        {
            return Version == 2 && index < StatusFramesFor(HighestFrames) && TryGrow(1)
                && TryGrow(Math.Clamp((int)index * (GrantEntry2.PerStatusFrame / GrantEntry2.PerFrame) + 1, 1, HighestFrames)) ? _statusFrames[(int)index] : 0;
        }
    }

    private static int StatusFramesFor(int frames) => ((frames * GrantEntry2.PerFrame) + GrantEntry2.PerStatusFrame - 1) / GrantEntry2.PerStatusFrame;

    private bool TryGrowStatus(int frames)
    {
        while (_statusFrames.Count < StatusFramesFor(frames))
        {
            if (!Domain.Memory.TryAllocateHypervisorPage(out uint mfn, guestWritable: true))
            {
                return false;
            }

            _statusFrames.Add(mfn);
        }

        return true;
    }

    private GrantEntry2* Entry2At(uint reference) =>
        (GrantEntry2*)Domain.Hypervisor.Machine.Frame(_frames[(int)(reference / GrantEntry2.PerFrame)]) + (reference % GrantEntry2.PerFrame);

    /// <summary>Changes an entry's status bits; the guest may change them at the same time.</summary>
    /// <returns>What they were.</returns>
    private uint ChangeStatus(uint reference, uint set, uint clear)
    {
        byte* frame = Domain.Hypervisor.Machine.Frame(_statusFrames[(int)(reference / GrantEntry2.PerStatusFrame)]);
        uint index = reference % GrantEntry2.PerStatusFrame;
        ref uint word = ref ((uint*)frame)[index / 2];
        int shift = (int)(index % 2) * 16;
        uint was = set != 0 ? Interlocked.Or(ref word, set << shift) : Interlocked.And(ref word, ~(clear << shift));
        return (was >> shift) & ushort.MaxValue;
    }

    private (uint Header, uint Frame) ReadReserved(uint reference)
    {
        GrantEntry2 entry = *Entry2At(reference);
        uint status = ChangeStatus(reference, 0, 0) & (GrantFlags.Reading | GrantFlags.Writing);
        bool isPage = (entry.Header & (GrantFlags.TypeMask | GrantFlags.SubPage)) == GrantFlags.PermitAccess && entry.Frame <= uint.MaxValue;
        return isPage ? (entry.Header | status, (uint)entry.Frame) : default;
    }

    private void WriteReserved(uint reference, uint header, uint frame)
    {
        if (Version == 1)
        {
            *EntryAt(reference) = new GrantEntry1 { Header = header, Frame = frame };
            return;
        }

        const uint inUse = GrantFlags.Reading | GrantFlags.Writing;
        ChangeStatus(reference, 0, ushort.MaxValue);
        ChangeStatus(reference, header & inUse, 0);
        *Entry2At(reference) = new GrantEntry2 { Header = header & ~inUse, Frame = frame };
    }
}
