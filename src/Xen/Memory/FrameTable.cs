using System.Diagnostics;
using Dbt.Runtime.Memory;
using Dbt.Translator.Memory;

namespace Dbt.Xen.Memory;

/// <summary>
/// One <see cref="PageInfo"/> per machine frame, and the counting that any thread may do on any domain's frame: general references and
/// the writable type. Page-table types are the business of <see cref="PageTables"/>, under the owner's lock.
/// </summary>
internal sealed unsafe class FrameTable : IDisposable
{
    private readonly Hypervisor _hypervisor;
    private readonly MachineMemory _machine;
    private readonly nuint _bytes;
    private PageInfo* _pages;

    public FrameTable(Hypervisor hypervisor)
    {
        _hypervisor = hypervisor;
        _machine = hypervisor.Machine;
        _bytes = ((nuint)_machine.FrameCount * (nuint)sizeof(PageInfo) + HostMemory.HugePageBytes - 1) & ~((nuint)HostMemory.HugePageBytes - 1);
        _pages = (PageInfo*)HostMemory.ReserveHuge(_bytes);
    }

    public uint Count => _machine.FrameCount;

    /// <summary>The frame's record; the caller has checked that <paramref name="mfn"/> is below <see cref="Count"/>.</summary>
    public ref PageInfo this[uint mfn] => ref _pages[mfn];

    public PageType TypeOf(uint mfn) => PageInfo.TypeOf(Volatile.Read(ref _pages[mfn].TypeInfo));

    /// <summary>Whether a frame in use has an id as its owner. It looks at all frames.</summary>
    public bool HasPageOf(ushort owner)
    {
        uint end = _machine.HighWater;
        for (uint mfn = 1; mfn < end; mfn++)
        {
            if (_pages[mfn].Owner == owner && Volatile.Read(ref _pages[mfn].References) != 0)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Gives a fresh frame to a domain: one reference, the domain's own.</summary>
    public void Assign(uint mfn, ushort owner)
    {
        ref PageInfo page = ref _pages[mfn];
        Debug.Assert(page.References == 0, "a free frame has no references");
        page.TypeInfo = 0;
        page.LinearCount = 0;
        page.FirstUse = 0;
        page.WriteHint = 0;
        page.Owner = owner;
        Volatile.Write(ref page.References, PageInfo.Allocated | 1);
        MarkWritten(mfn);
    }

    /// <summary>Tells the dirty log of a frame whose contents the hypervisor changed, or that is somewhere else now.</summary>
    public void MarkWritten(uint mfn)
    {
        if (_machine.CodeMap.Dirty.IsOn)
        {
            _machine.CodeMap.Dirty.Mark(mfn);
        }
    }

    /// <summary>
    /// Makes a fresh frame one of the hypervisor's that the domain may map; the type count that is never given back pins it as writable,
    /// or (<paramref name="writable"/> false) as mapped read-only.
    /// </summary>
    public void AssignHypervisorPage(uint mfn, ushort owner, bool writable)
    {
        ref PageInfo page = ref _pages[mfn];
        Debug.Assert(page.References == 0, "a free frame has no references");
        page.TypeInfo = ((ulong)(writable ? PageType.Writable : PageType.None) << 32) | PageInfo.Validated | 1;
        page.LinearCount = 0;
        page.FirstUse = 0;
        page.WriteHint = 0;
        page.Owner = owner;
        Volatile.Write(ref page.References, PageInfo.Allocated | PageInfo.HypervisorPage | 1);
    }

    /// <summary>Takes a reference to a frame of whomever it belongs to.</summary>
    /// <returns>False for a free frame, one beyond the machine, or where the count would overflow.</returns>
    public bool TryGetAny(uint mfn, out ushort owner)
    {
        owner = 0;
        if (mfn >= Count)
        {
            return false;
        }

        ref PageInfo page = ref _pages[mfn];
        uint seen = Volatile.Read(ref page.References);
        while (true)
        {
            uint count = seen & PageInfo.ReferenceMask;
            if (count == 0 || count >= PageInfo.ReferenceMask - 1)
            {
                return false;
            }

            uint was = Interlocked.CompareExchange(ref page.References, seen + 1, seen);
            if (was == seen)
            {
                owner = page.Owner;
                return true;
            }

            seen = was;
        }
    }

    /// <summary>Takes a reference to a frame that must belong to <paramref name="owner"/>.</summary>
    public bool TryGet(uint mfn, ushort owner)
    {
        if (!TryGetAny(mfn, out ushort real))
        {
            return false;
        }

        if (real == owner)
        {
            return true;
        }

        Put(mfn);
        return false;
    }

    /// <summary>Gives a reference back; the last one frees the frame.</summary>
    public void Put(uint mfn)
    {
        uint left = Interlocked.Decrement(ref _pages[mfn].References);
        if ((left & PageInfo.ReferenceMask) == PageInfo.ReferenceMask)
        {
            throw new UnreachableException($"frame {mfn:x}: reference count below zero");
        }

        if ((left & PageInfo.ReferenceMask) == 0)
        {
            Release(mfn);
        }
    }

    /// <summary>Gives up the domain's own reference (the frame leaves the reservation when the others are gone too).</summary>
    /// <returns>False where it was given up before.</returns>
    public bool PutAllocated(uint mfn)
    {
        if ((Interlocked.And(ref _pages[mfn].References, ~PageInfo.Allocated) & PageInfo.Allocated) == 0)
        {
            return false;
        }

        Put(mfn);
        return true;
    }

    /// <summary>
    /// Takes a frame that has no user but the caller, who holds one reference (XSA-214: nothing may remember it): the count goes from two
    /// (the domain's own and the caller's) to none at once, and the frame is nobody's. Its contents are kept.
    /// </summary>
    public bool TrySteal(uint mfn)
    {
        ref PageInfo page = ref _pages[mfn];
        if (Interlocked.CompareExchange(ref page.References, 0, PageInfo.Allocated | 2) != (PageInfo.Allocated | 2))
        {
            return false;
        }

        ulong type = page.TypeInfo;
        if (PageInfo.CountOf(type) != 0 || (type & PageInfo.Pinned) != 0)
        {
            throw new UnreachableException($"frame {mfn:x}: typed {type:x} without a reference");
        }

        page.TypeInfo = 0;
        page.Owner = 0;
        page.WriteHint = 0;
        return true;
    }

    /// <summary>Takes one count of the writable type. The caller holds a reference.</summary>
    /// <returns>False where the frame is in use as something else.</returns>
    public bool TryGetWritable(uint mfn)
    {
        const ulong Writable = ((ulong)PageType.Writable << 32) | PageInfo.Validated;
        ref ulong typeInfo = ref _pages[mfn].TypeInfo;
        ulong seen = Volatile.Read(ref typeInfo);
        while (true)
        {
            uint count = PageInfo.CountOf(seen);
            if (count == uint.MaxValue || (count != 0 && PageInfo.TypeOf(seen) != PageType.Writable))
            {
                return false;
            }

            ulong was = Interlocked.CompareExchange(ref typeInfo, Writable | (count + 1), seen);
            if (was == seen)
            {
                return true;
            }

            seen = was;
        }
    }

    /// <summary>Gives back one count of a type that needs no cleaning up: writable or descriptor.</summary>
    public void PutPlainType(uint mfn)
    {
        ulong left = Interlocked.Decrement(ref _pages[mfn].TypeInfo);
        if (PageInfo.CountOf(left) == uint.MaxValue)
        {
            throw new UnreachableException($"frame {mfn:x}: type count below zero");
        }
    }

    public void Dispose()
    {
        if (_pages != null)
        {
            HostMemory.Release((byte*)_pages, _bytes);
            _pages = null;
        }
    }

    private void Release(uint mfn)
    {
        ref PageInfo page = ref _pages[mfn];
        ulong type = page.TypeInfo;
        bool ours = (page.References & PageInfo.HypervisorPage) != 0;
        if (PageInfo.CountOf(type) != (ours ? 1u : 0u) || (type & PageInfo.Pinned) != 0)
        {
            throw new UnreachableException($"frame {mfn:x}: freed while typed {type:x}");
        }

        ushort owner = page.Owner;
        page.TypeInfo = 0;
        page.Owner = 0;
        page.WriteHint = 0;
        page.References = 0;
        _hypervisor.MachineToPhys[mfn] = uint.MaxValue;
        if (!ours)
        {
            _hypervisor.Find(owner)?.Memory.PageReleased();
        }

        _machine.Free(mfn);
    }
}
