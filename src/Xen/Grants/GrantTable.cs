using System.Diagnostics.CodeAnalysis;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Grants;

/// <summary>
/// A domain's grant table: entries that the guest writes into frames shared with it, and what of them is in use. The
/// table's lock is held for pin counts only; page references are taken atomically, and page tables are never touched under it.
/// </summary>
public sealed unsafe partial class GrantTable
{
    /// <summary>Frames that any table can have: 512 entries of version 1 each, or 256 of version 2.</summary>
    public const int MaxFrames = 64;

    /// <summary>References that the domain builder fills in: the console's ring and xenstore's (GNTTAB_RESERVED_*).</summary>
    public const uint ConsoleReference = 0, StoreReference = 1;

    private readonly Lock _lock = new();
    private readonly List<uint> _frames = [];
    private Pin[] _pins = [];
    private bool _shut;

    internal GrantTable(Domain domain) => Domain = domain;

    /// <summary>The owner.</summary>
    public Domain Domain { get; }

    /// <summary>Frames that this table can have (max_grant_frames), 1 to <see cref="MaxFrames"/>.</summary>
    public int HighestFrames { get; set; } = MaxFrames;

    /// <summary>Frames the table has now, 1 at least once it was asked for.</summary>
    internal int FrameCount
    {
        get
        {
            lock (_lock)
            {
                return TryGrow(1) ? _frames.Count : 0;
            }
        }
    }

    /// <summary>
    /// Writes a grant to domain 0 of one of the domain's own frames, as the domain builder does for
    /// <see cref="ConsoleReference"/> and <see cref="StoreReference"/>.
    /// </summary>
    /// <returns>False where the machine has no frame for the table.</returns>
    public bool TryGrantToBackend(uint reference, uint mfn)
    {
        lock (_lock)
        {
            if (!TryGrow((int)(reference / EntriesPerFrame) + 1))
            {
                return false;
            }

            WriteReserved(reference, GrantFlags.PermitAccess, mfn);
            return true;
        }
    }

    /// <summary>Maps a page that the guest granted to domain 0 into this process, marking the grant in use.</summary>
    /// <returns>False where the grant doesn't permit it.</returns>
    public bool TryMapForBackend(uint reference, bool writable, [NotNullWhen(true)] out GrantedPage? page)
    {
        page = Acquire(reference, mapper: 0, writable, mapping: true, out uint mfn) == GrantStatus.Okay
            ? new GrantedPage(Domain, mfn, writable, reference)
            : null;
        return page is not null;
    }

    /// <summary>Takes a page that the guest granted to domain 0 into use, as <see cref="TryMapForBackend"/> does, but makes no object for it.</summary>
    /// <param name="reference">Any number, as given.</param>
    /// <param name="writable">To write as well.</param>
    /// <param name="mfn">The page.</param>
    /// <returns>False where the grant doesn't permit it. Otherwise <see cref="UnpinForBackend"/> has to follow, exactly once.</returns>
    public bool TryPinForBackend(uint reference, bool writable, out uint mfn) =>
        Acquire(reference, mapper: 0, writable, mapping: true, out mfn) == GrantStatus.Okay;

    /// <summary>Gives back what <see cref="TryPinForBackend"/> took.</summary>
    public void UnpinForBackend(uint reference, bool writable) => Release(reference, writable);

    /// <summary>
    /// Maps one of the domain's own pages into this process without a grant, as domain 0 may with the frames that start_info
    /// names: while the page is held it stays what it is, whatever the guest does.
    /// </summary>
    /// <returns>False where the domain doesn't own the frame or uses it as a page table or the like.</returns>
    public bool TryMapFrameForBackend(uint mfn, bool writable, [NotNullWhen(true)] out GrantedPage? page)
    {
        FrameTable frames = Domain.Hypervisor.Frames;
        page = null;
        if (!frames.TryGet(mfn, Domain.Id))
        {
            return false;
        }

        if (writable && !frames.TryGetWritable(mfn))
        {
            frames.Put(mfn);
            return false;
        }

        page = new GrantedPage(Domain, mfn, writable, reference: null);
        return true;
    }

    /// <summary>
    /// The domain goes away: nothing more is granted, and the table's frames, which may be another domain's soon, are not looked at again.
    /// What others have in use they still give back.
    /// </summary>
    internal void Shut()
    {
        lock (_lock)
        {
            _shut = true;
        }
    }

    /// <summary>Machine frames of the table's first frames, growing it to them.</summary>
    internal bool TrySetup(int count, Span<uint> frames)
    {
        lock (_lock)
        {
            if (!TryGrow(count))
            {
                return false;
            }

            for (int i = 0; i < count; i++)
            {
                frames[i] = _frames[i];
            }

            return true;
        }
    }

    /// <summary>The machine frame of one of the table's frames, growing it to that; 0 where it can't have as many.</summary>
    internal uint TryGetFrame(uint index)
    {
        lock (_lock)
        {
            return index < HighestFrames && TryGrow((int)index + 1) ? _frames[(int)index] : 0;
        }
    }

    /// <summary>Exchanges two entries that are not in use (GNTTABOP_swap_grant_ref).</summary>
    internal GrantStatus Swap(uint first, uint second)
    {
        lock (_lock)
        {
            if (!Exists(first) || !Exists(second))
            {
                return GrantStatus.BadReference;
            }

            if (first == second)
            {
                return GrantStatus.Okay;
            }

            if (_pins[first].InUse || _pins[second].InUse)
            {
                return GrantStatus.Again;
            }

            if (Version == 1)
            {
                (*EntryAt(first), *EntryAt(second)) = (*EntryAt(second), *EntryAt(first));
            }
            else
            {
                (*Entry2At(first), *Entry2At(second)) = (*Entry2At(second), *Entry2At(first));
            }

            return GrantStatus.Okay;
        }
    }

    private int EntriesPerFrame => Version == 1 ? GrantEntry1.PerFrame : GrantEntry2.PerFrame;

    private bool Exists(uint reference) => TryGrow(1) && reference < _frames.Count * EntriesPerFrame;

    private GrantEntry1* EntryAt(uint reference) =>
        (GrantEntry1*)Domain.Hypervisor.Machine.Frame(_frames[(int)(reference / GrantEntry1.PerFrame)]) + (reference % GrantEntry1.PerFrame);

    private bool TryGrow(int count)
    {
        if (count > HighestFrames || (Version == 2 && !TryGrowStatus(count)))
        {
            return false;
        }

        while (_frames.Count < count)
        {
            if (!Domain.Memory.TryAllocateHypervisorPage(out uint mfn, guestWritable: true))
            {
                return false;
            }

            _frames.Add(mfn);
            Array.Resize(ref _pins, _frames.Count * GrantEntry1.PerFrame);
        }

        return true;
    }
}
