using System.Diagnostics;
using Dbt.Xen.Abi;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Grants;

/// <content>Taking a grant into use and letting go of it, with exact counts (XSA-218, XSA-224, XSA-228).</content>
public sealed unsafe partial class GrantTable
{
    // A guest may change its flags while they are looked at, a few times; not forever (XSA-295).
    private const int MaxAttempts = 5;

    /// <summary>Takes a grant into use and takes a reference (and, to write, a writable count) on its page.</summary>
    /// <param name="reference">Any number, as given.</param>
    /// <param name="mapper">Who uses it.</param>
    /// <param name="writable">To write as well.</param>
    /// <param name="mapping">To map it, and not merely copy: whole pages alone.</param>
    /// <param name="mfn">The page.</param>
    internal GrantStatus Acquire(uint reference, ushort mapper, bool writable, bool mapping, out uint mfn)
    {
        lock (_lock)
        {
            GrantStatus status = TryPin(reference, mapper, writable, mapping, passedOn: false);
            mfn = status == GrantStatus.Okay ? _pins[reference].Mfn : 0;
            return status;
        }
    }

    /// <summary>
    /// Takes a grant into use to copy. It may be of a part of a page, or pass another domain's grant on (version 2); that one may not be passed on itself, so there is one step and no more
    /// (XSA-226).
    /// </summary>
    /// <param name="reference">Any number, as given.</param>
    /// <param name="mapper">Who uses it.</param>
    /// <param name="writable">To write as well.</param>
    /// <param name="held">What was taken; <see cref="HeldGrant.Release"/> has to follow.</param>
    internal GrantStatus AcquireForCopy(uint reference, ushort mapper, bool writable, out HeldGrant held)
    {
        held = default;
        Pin pin;
        lock (_lock)
        {
            GrantStatus status = TryPin(reference, mapper, writable, mapping: false, passedOn: true);
            if (status != GrantStatus.Okay)
            {
                return status;
            }

            pin = _pins[reference];
        }

        if (!pin.IsPassedOn)
        {
            held = new HeldGrant(this, reference, pin.Mfn, pin.Start, pin.Length, null, 0);
            return GrantStatus.Okay;
        }

        // Not under this table's lock: two tables may lead to one another.
        Domain? owner = Domain.IsSelf(pin.NextDomain) ? null : Domain.Hypervisor.Find(pin.NextDomain);
        GrantStatus inner = GrantStatus.GeneralError;
        if (owner is not null)
        {
            GrantTable table = owner.Grants;
            lock (table._lock)
            {
                inner = table.TryPin(pin.NextReference, Domain.Id, writable, mapping: false, passedOn: false);
                if (inner == GrantStatus.Okay)
                {
                    Pin next = table._pins[pin.NextReference];
                    held = new HeldGrant(table, pin.NextReference, next.Mfn, next.Start, next.Length, this, reference);
                    return GrantStatus.Okay;
                }
            }
        }

        Unpin(reference, writable);
        return inner;
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
                Unmark(reference, pin, writable);
            }

            return pin.Mfn;
        }
    }

    // The lock is held.
    private GrantStatus TryPin(uint reference, ushort mapper, bool writable, bool mapping, bool passedOn)
    {
        if (_shut)
        {
            return GrantStatus.BadDomain;
        }

        if (!Exists(reference))
        {
            return GrantStatus.BadReference;
        }

        ref Pin pin = ref _pins[reference];
        bool wasUsed = pin.InUse;
        if (wasUsed && (pin.Mapper != mapper || (mapping && !pin.IsWholePage) || (pin.IsPassedOn && !passedOn)))
        {
            return GrantStatus.GeneralError;
        }

        // What the grant is of counts from when it is first used on: the guest may change the entry, not what is in use.
        Pin use = wasUsed ? pin : new Pin { Mapper = mapper };
        if (!wasUsed || (writable && pin.Writers == 0))
        {
            // A grant to itself names the domain by the id that it believes to have.
            ushort named = mapper == Domain.Id ? Domain.GuestId : mapper;
            bool marked = Version == 1
                ? TryMark1(reference, wasUsed, named, writable, mapping, ref use)
                : TryMark2(reference, wasUsed, named, writable, mapping, passedOn, ref use);
            if (!marked)
            {
                return GrantStatus.GeneralError;
            }
        }

        if (!use.IsPassedOn && !TryTakePage(Domain.Hypervisor.Frames, use.Mfn, writable, out GrantStatus status))
        {
            Unmark(reference, pin, writable);
            return status;
        }

        use.Add(writable, 1);
        pin = use;
        return GrantStatus.Okay;
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

    private bool TryMark1(uint reference, bool wasUsed, ushort mapper, bool writable, bool mapping, ref Pin use)
    {
        GrantEntry1* entry = EntryAt(reference);
        uint mask = GrantFlags.TypeMask | (mapping ? GrantFlags.SubPage : 0);
        uint seen = Volatile.Read(ref entry->Header);
        for (int attempt = 0; attempt < MaxAttempts; attempt++)
        {
            bool permitted = wasUsed || ((seen & mask) == GrantFlags.PermitAccess && seen >> 16 == mapper);
            if (!permitted || (writable && (seen & GrantFlags.ReadOnly) != 0))
            {
                return false;
            }

            uint was = Interlocked.CompareExchange(ref entry->Header, seen | GrantFlags.Reading | (writable ? GrantFlags.Writing : 0), seen);
            if (was != seen)
            {
                seen = was;
                continue;
            }

            if (!wasUsed)
            {
                use.SetPage(Domain, Volatile.Read(ref entry->Frame), 0, Layout.PageSize);
            }

            return true;
        }

        return false;
    }

    // The status is set before the entry is looked at for the last time: a guest that takes the entry back sees one or the other.
    private bool TryMark2(uint reference, bool wasUsed, ushort mapper, bool writable, bool mapping, bool passedOn, ref Pin use)
    {
        GrantEntry2* entry = Entry2At(reference);
        if (!Permits(Volatile.Read(ref entry->Header)))
        {
            return false;
        }

        uint bits = GrantFlags.Reading | (writable ? GrantFlags.Writing : 0);
        uint before = ChangeStatus(reference, bits, 0);
        Interlocked.MemoryBarrier();
        uint header = Volatile.Read(ref entry->Header);
        if (!Permits(header))
        {
            // What was set before is in use, or the guest's own doing.
            ChangeStatus(reference, 0, bits & ~before);
            return false;
        }

        if (wasUsed)
        {
            return true;
        }

        uint detail = Volatile.Read(ref entry->Detail);
        ulong frame = Volatile.Read(ref entry->Frame);
        if ((header & GrantFlags.TypeMask) == GrantFlags.Transitive)
        {
            (use.IsPassedOn, use.NextDomain, use.NextReference) = (true, (ushort)detail, (uint)frame);
        }
        else if ((header & GrantFlags.SubPage) != 0)
        {
            use.SetPage(Domain, frame, (ushort)detail, (ushort)(detail >> 16));
        }
        else
        {
            use.SetPage(Domain, frame, 0, Layout.PageSize);
        }

        return true;

        bool Permits(uint seen)
        {
            uint type = seen & (GrantFlags.TypeMask | (mapping ? GrantFlags.SubPage : 0));
            bool permitted = wasUsed || ((type == GrantFlags.PermitAccess || (passedOn && type == GrantFlags.Transitive)) && seen >> 16 == mapper);
            return permitted && (!writable || (seen & GrantFlags.ReadOnly) == 0);
        }
    }

    private void Unmark(uint reference, in Pin pin, bool writable)
    {
        uint clear = (pin.InUse ? 0 : GrantFlags.Reading) | (writable && pin.Writers == 0 ? GrantFlags.Writing : 0);
        if (clear == 0)
        {
            return;
        }

        if (Version == 1)
        {
            Interlocked.And(ref EntryAt(reference)->Header, ~clear);
        }
        else
        {
            ChangeStatus(reference, 0, clear);
        }
    }

    /// <summary>How often an entry is in use, by whom, and for what.</summary>
    private struct Pin
    {
        public int Readers, Writers;

        /// <summary>The page, and the part of it that may be copied.</summary>
        public uint Mfn;

        public ushort Mapper, Start, Length;

        /// <summary>It leads to another domain's grant instead.</summary>
        public bool IsPassedOn;

        public ushort NextDomain;

        public uint NextReference;

        public readonly bool InUse => Readers + Writers != 0;

        public readonly bool IsWholePage => !IsPassedOn && Start == 0 && Length == Layout.PageSize;

        public void SetPage(Domain owner, ulong frame, int start, int length)
        {
            // 0 is no frame, and is refused as such.
            (Mfn, Start, Length) = (0, (ushort)start, (ushort)length);
            if (frame <= uint.MaxValue)
            {
                _ = owner.Memory.TryTranslate((uint)frame, out Mfn);
            }
        }

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
