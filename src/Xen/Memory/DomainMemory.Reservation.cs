namespace Dbt.Xen.Memory;

/// <content>Pages that leave the reservation, and pages exchanged for others.</content>
public sealed unsafe partial class DomainMemory
{
    /// <summary>
    /// Gives one of the domain's frames up (decrease_reservation). It goes back to the machine when its last user lets go: what still maps
    /// it, pins it or holds a grant to it keeps it, typed as it is (XSA-214, XSA-252).
    /// </summary>
    /// <returns>False where the frame isn't the domain's to give.</returns>
    internal bool TryReleasePage(ulong frame)
    {
        if (frame >= _frames.Count || !_frames.TryGet((uint)frame, Domain.Id))
        {
            return false;
        }

        uint mfn = (uint)frame;
        bool released = (Volatile.Read(ref _frames[mfn].References) & PageInfo.HypervisorPage) == 0 && _frames.PutAllocated(mfn);
        if (released)
        {
            Domain.Hypervisor.MachineToPhys[mfn] = uint.MaxValue;
        }

        _frames.Put(mfn);
        return released;
    }

    /// <summary>Takes a frame from the domain that nothing refers to but its reservation; it is nobody's then, its contents kept.</summary>
    internal bool TrySteal(ulong frame)
    {
        if (frame >= _frames.Count || !_frames.TryGet((uint)frame, Domain.Id))
        {
            return false;
        }

        // A hypervisor's page has a bit more in its count word, and so is never stolen.
        for (int attempt = 0; ; attempt++)
        {
            if (_frames.TrySteal((uint)frame))
            {
                return true;
            }

            if (!TrySettle(attempt))
            {
                _frames.Put((uint)frame);
                return false;
            }
        }
    }

    /// <summary>Makes stolen frames the domain's again.</summary>
    internal void GiveBackStolen(List<uint> frames)
    {
        foreach (uint mfn in frames)
        {
            _frames.Assign(mfn, Domain.Id);
        }
    }

    /// <summary>Takes a block of frames from the machine that is to replace stolen ones: the reservation's size stays.</summary>
    internal bool TryAllocateUnowned(int order, uint limit, out uint mfn) =>
        _machine.TryAllocateContiguous(order, Math.Min(limit, _machine.FrameCount), out mfn);

    /// <summary>Gives blocks of nobody's frames to the machine.</summary>
    internal void FreeUnowned(List<uint> blocks, int order)
    {
        foreach (uint first in blocks)
        {
            for (uint i = 0; i < 1u << order; i++)
            {
                Domain.Hypervisor.MachineToPhys[first + i] = uint.MaxValue;
                _machine.Free(first + i);
            }
        }
    }

    /// <summary>Makes a block of nobody's frames the domain's.</summary>
    internal void AdoptUnowned(uint first, int order)
    {
        for (uint i = 0; i < 1u << order; i++)
        {
            _frames.Assign(first + i, Domain.Id);
        }
    }
}
