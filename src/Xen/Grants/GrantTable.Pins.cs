using System.Diagnostics;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Grants;

/// <content>Taking a grant into use and letting go of it, with exact counts (XSA-218, XSA-224, XSA-228).</content>
public sealed unsafe partial class GrantTable
{
    // Header: GTF_ flags in the low half, the domain that access is granted to in the high half.
    private const uint PermitAccess = 1, TypeMask = 3, ReadOnly = 1 << 2, Reading = 1 << 3, Writing = 1 << 4, SubPage = 1 << 8;

    // A guest may change its flags while they are looked at, a few times; not forever (XSA-295).
    private const int MaxAttempts = 5;

    /// <summary>Takes a grant into use and takes a reference (and, to write, a writable count) on its page.</summary>
    /// <param name="reference">Any number, as given.</param>
    /// <param name="mapper">Who uses it.</param>
    /// <param name="writable">To write as well.</param>
    /// <param name="mapping">To map it, and not merely copy.</param>
    /// <param name="mfn">The page.</param>
    internal GrantStatus Acquire(uint reference, ushort mapper, bool writable, bool mapping, out uint mfn)
    {
        FrameTable frames = Domain.Hypervisor.Frames;
        lock (_lock)
        {
            mfn = 0;
            if (_shut)
            {
                return GrantStatus.BadDomain;
            }

            if (!Exists(reference))
            {
                return GrantStatus.BadReference;
            }

            ref Pin pin = ref _pins[reference];
            if (pin.InUse && pin.Mapper != mapper)
            {
                return GrantStatus.GeneralError;
            }

            Entry* entry = EntryAt(reference);
            bool wasUsed = pin.InUse;

            // A grant to itself names the domain by the id that it believes to have.
            ushort named = mapper == Domain.Id ? Domain.GuestId : mapper;
            if ((!wasUsed || (writable && pin.Writers == 0)) && !TryMark(entry, wasUsed, named, writable, mapping))
            {
                return GrantStatus.GeneralError;
            }

            // The frame counts from when the grant is first used on: the guest may change the entry, not what is in use.
            if (wasUsed)
            {
                mfn = pin.Mfn;
            }
            else
            {
                // 0 is no frame, and is refused as such.
                _ = Domain.Memory.TryTranslate(Volatile.Read(ref entry->Frame), out mfn);
            }

            if (!TryTakePage(frames, mfn, writable, out GrantStatus status))
            {
                Unmark(entry, pin, writable);
                return status;
            }

            pin.Mfn = mfn;
            pin.Mapper = mapper;
            pin.Add(writable, 1);
            return GrantStatus.Okay;
        }
    }

    /// <summary>Lets go of what <see cref="Acquire"/> took: the use and the page.</summary>
    internal void Release(uint reference, bool writable)
    {
        FrameTable frames = Domain.Hypervisor.Frames;
        uint mfn = Unpin(reference, writable);
        if (writable)
        {
            frames.PutPlainType(mfn);
        }

        frames.Put(mfn);
    }

    /// <summary>Lets go of the use alone; the page's counts have gone another way.</summary>
    /// <returns>The page.</returns>
    internal uint Unpin(uint reference, bool writable)
    {
        lock (_lock)
        {
            ref Pin pin = ref _pins[reference];
            pin.Add(writable, -1);
            if (!_shut)
            {
                Unmark(EntryAt(reference), pin, writable);
            }

            return pin.Mfn;
        }
    }

    private bool TryTakePage(FrameTable frames, uint mfn, bool writable, out GrantStatus status)
    {
        status = GrantStatus.BadPage;
        if (!frames.TryGet(mfn, Domain.Id))
        {
            return false;
        }

        // The hypervisor's pages are the guest's to map, not to give.
        bool given = (Volatile.Read(ref frames[mfn].References) & PageInfo.HypervisorPage) == 0;
        status = GrantStatus.GeneralError;
        if (given && (!writable || frames.TryGetWritable(mfn)))
        {
            return true;
        }

        frames.Put(mfn);
        return false;
    }

    private static bool TryMark(Entry* entry, bool wasUsed, ushort mapper, bool writable, bool mapping)
    {
        uint mask = TypeMask | (mapping ? SubPage : 0);
        uint seen = Volatile.Read(ref entry->Header);
        for (int attempt = 0; attempt < MaxAttempts; attempt++)
        {
            bool permitted = wasUsed || ((seen & mask) == PermitAccess && seen >> 16 == mapper);
            if (!permitted || (writable && (seen & ReadOnly) != 0))
            {
                return false;
            }

            uint was = Interlocked.CompareExchange(ref entry->Header, seen | Reading | (writable ? Writing : 0), seen);
            if (was == seen)
            {
                return true;
            }

            seen = was;
        }

        return false;
    }

    private static void Unmark(Entry* entry, in Pin pin, bool writable)
    {
        uint clear = (pin.InUse ? 0 : Reading) | (writable && pin.Writers == 0 ? Writing : 0);
        if (clear != 0)
        {
            Interlocked.And(ref entry->Header, ~clear);
        }
    }

    /// <summary>How often an entry is in use, by whom, and for which page.</summary>
    private struct Pin
    {
        public int Readers, Writers;
        public uint Mfn;
        public ushort Mapper;

        public readonly bool InUse => Readers + Writers != 0;

        public void Add(bool writable, int change)
        {
            if (writable)
            {
                Writers += change;
                Debug.Assert(Writers >= 0, "a grant let go once too often");
                return;
            }

            Readers += change;
            Debug.Assert(Readers >= 0, "a grant let go once too often");
        }
    }
}
