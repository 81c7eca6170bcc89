using Dbt.Xen.Hvm;
using static Dbt.Xen.Abi.Errno;

namespace Dbt.Xen.Memory;

/// <content>What an auto-translated domain does with its guest-physical address space. Errors are negative errnos.</content>
public sealed unsafe partial class DomainMemory
{
    /// <summary>
    /// The machine frame that a guest's frame number means: itself in a paravirtual domain, what the p2m says in an auto-translated one.
    /// </summary>
    /// <returns>False where there is none.</returns>
    internal bool TryTranslate(ulong frame, out uint mfn)
    {
        mfn = Domain.Hvm is { } hvm ? hvm.Physmap[frame] : frame < _frames.Count ? (uint)frame : 0;
        return mfn != 0;
    }

    /// <summary>Gives a GFN that has no frame a fresh one, or a frame of the hypervisor's for good; for the domain builder.</summary>
    /// <returns>False where the machine is full, or the domain has all that it may.</returns>
    internal bool TryPopulate(uint gfn) => TryPopulate(gfn, 0);

    /// <summary>The same for 2^<paramref name="order"/> GFNs that follow one another, of frames that do.</summary>
    /// <returns>False where the machine has no such block, or the domain would have more than it may; nothing has changed then.</returns>
    internal bool TryPopulate(uint gfn, int order)
    {
        if (!TryAddPages(order, uint.MaxValue, out uint mfn))
        {
            return false;
        }

        lock (Lock)
        {
            for (uint i = 0; i < 1u << order; i++)
            {
                _ = Remove(gfn + i, release: true);
                Domain.Hvm!.Physmap.Set(gfn + i, mfn + i);
            }
        }

        return true;
    }

    /// <summary>
    /// XENMEM_decrease_reservation: frames go back to the machine when their last users let go. Processors are told once for all of them.
    /// </summary>
    /// <returns>How many went; the next one isn't there, or isn't the domain's to give.</returns>
    internal int Depopulate(ReadOnlySpan<uint> gfns)
    {
        Span<uint> gone = stackalloc uint[DepopulateAtOnce];
        int count = 0;
        lock (Lock)
        {
            while (count < Math.Min(gfns.Length, gone.Length) && gfns[count] < Physmap.Count && TakeOut(gfns[count], release: true, out gone[count]) == 0)
            {
                count++;
            }

            if (count > 0)
            {
                PhysmapChanged();
            }

            foreach (uint mfn in gone[..count])
            {
                LetGo(mfn, release: true);
            }
        }

        return count;
    }

    /// <summary>Most frames that <see cref="Depopulate"/> takes.</summary>
    internal const int DepopulateAtOnce = 128;

    /// <summary>XENMEM_remove_from_physmap: the frame stays the domain's.</summary>
    internal int RemoveFromPhysmap(uint gfn)
    {
        lock (Lock)
        {
            return gfn < Physmap.Count ? Remove(gfn, release: false) : -EINVAL;
        }
    }

    /// <summary>Has a frame of the domain's appear at a GFN, and nowhere else; what was there before is released.</summary>
    /// <param name="mfn">A frame that is the domain's, or one of the hypervisor's for it.</param>
    /// <param name="gfn">Where.</param>
    internal int PlaceInPhysmap(uint mfn, uint gfn)
    {
        lock (Lock)
        {
            Physmap physmap = Domain.Hvm!.Physmap;
            uint from = physmap.GfnOf(mfn);
            if (gfn >= Physmap.Count || from == gfn)
            {
                return gfn >= Physmap.Count ? -EINVAL : 0;
            }

            if (!_frames.TryGet(mfn, Domain.Id))
            {
                return -EINVAL;
            }

            // What can't be given back only loses its place.
            if (physmap[gfn] != 0 && Remove(gfn, release: true) != 0)
            {
                _ = Remove(gfn, release: false);
            }

            if (from != uint.MaxValue)
            {
                _ = Remove(from, release: false);
            }

            physmap.Set(gfn, mfn);
            _frames.Put(mfn);
            return 0;
        }
    }

    /// <summary>A GFN lost its frame: no processor may reach the frame through it from its next instruction on.</summary>
    private void PhysmapChanged()
    {
        Vcpu? current = Vcpu.Current;
        foreach (Vcpu vcpu in Domain.Vcpus)
        {
            vcpu.Hvm!.RequestFlush();
            if (vcpu == current)
            {
                vcpu.Hvm.ApplyFlush();
            }
            else
            {
                vcpu.Kick();
            }
        }
    }

    private int Remove(uint gfn, bool release)
    {
        int error = TakeOut(gfn, release, out uint mfn);
        if (error == 0)
        {
            PhysmapChanged();
            LetGo(mfn, release);
        }

        return error;
    }

    /// <summary>Clears an entry and takes a reference to its frame; processors are to be told before that is let go.</summary>
    private int TakeOut(uint gfn, bool release, out uint mfn)
    {
        Physmap physmap = Domain.Hvm!.Physmap;
        mfn = physmap[gfn];
        if (mfn == 0 || !_frames.TryGet(mfn, Domain.Id))
        {
            return -ENOENT;
        }

        bool ours = (Volatile.Read(ref _frames[mfn].References) & PageInfo.HypervisorPage) != 0;
        if (release && ours)
        {
            _frames.Put(mfn);
            return -EINVAL;
        }

        physmap.Clear(gfn);
        return 0;
    }

    private void LetGo(uint mfn, bool release)
    {
        if (release)
        {
            _ = _frames.PutAllocated(mfn);
        }

        // The reference taken here is given back when no other processor can have the frame in hand.
        _grace.Put(mfn, writable: false);
    }
}
