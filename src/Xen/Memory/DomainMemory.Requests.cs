using static Dbt.Xen.Abi.Errno;

namespace Dbt.Xen.Memory;

/// <content>What the page-table hypercalls ask of a domain's memory. Errors are negative errnos.</content>
public sealed unsafe partial class DomainMemory
{
    /// <summary>One mmu_update of an entry by its machine address.</summary>
    internal int UpdateEntry(ulong frame, int index, ulong value, bool preserveAccessed, ushort pageOwner)
    {
        for (int attempt = 0; ; attempt++)
        {
            int error = TryUpdateEntry(frame, index, value, preserveAccessed, pageOwner);
            if (error == 0 || !TrySettle(attempt))
            {
                return error;
            }
        }
    }

    private int TryUpdateEntry(ulong frame, int index, ulong value, bool preserveAccessed, ushort pageOwner)
    {
        lock (Lock)
        {
            _grace.Poll();
            if (frame >= _frames.Count || !_frames.TryGet((uint)frame, Domain.Id))
            {
                return -EINVAL;
            }

            int error = Tables.Update((uint)frame, index, value, preserveAccessed, pageOwner);
            _frames.Put((uint)frame);
            return error;
        }
    }

    /// <summary>The update of the L1 entry that maps a linear address now (update_va_mapping).</summary>
    internal int UpdateMapping(Vcpu vcpu, uint linear, ulong value, ushort pageOwner)
    {
        lock (Lock)
        {
            _grace.Poll();
            if (!TryFindL1(vcpu, linear, out uint table, out int index) || !_frames.TryGet(table, Domain.Id))
            {
                return -EINVAL;
            }

            int error = _frames.TypeOf(table) == PageType.L1 ? Tables.Update(table, index, value, false, pageOwner) : -EINVAL;
            _frames.Put(table);
            return error;
        }
    }

    /// <summary>Records the pseudo-physical number of one of the domain's frames in the machine-to-phys table.</summary>
    internal int SetPseudoPhysical(ulong frame, uint pfn)
    {
        if (frame >= _frames.Count || !_frames.TryGet((uint)frame, Domain.Id))
        {
            return -EINVAL;
        }

        Volatile.Write(ref Domain.Hypervisor.MachineToPhys[frame], pfn);
        _frames.Put((uint)frame);
        return 0;
    }

    /// <summary>MMUEXT_PIN_L1_TABLE to MMUEXT_PIN_L3_TABLE.</summary>
    internal int Pin(uint mfn, PageType type)
    {
        for (int attempt = 0; ; attempt++)
        {
            int error;
            lock (Lock)
            {
                _grace.Poll();
                error = Tables.Pin(mfn, type);
            }

            if (error == 0 || !TrySettle(attempt))
            {
                return error;
            }
        }
    }

    /// <summary>MMUEXT_UNPIN_TABLE.</summary>
    internal int Unpin(uint mfn)
    {
        lock (Lock)
        {
            return Tables.Unpin(mfn);
        }
    }

    /// <summary>MMUEXT_CLEAR_PAGE: the frame must be the domain's and not in use as something that isn't writable.</summary>
    internal int ClearPage(uint mfn)
    {
        if (!TryGetPageAndType(mfn, PageType.Writable))
        {
            return -EINVAL;
        }

        new Span<byte>(_machine.Frame(mfn), 4096).Clear();
        _machine.CodeMap.Written(_machine.Frame(mfn), 4096);
        PutPageAndType(mfn);
        return 0;
    }

    /// <summary>MMUEXT_COPY_PAGE.</summary>
    internal int CopyPage(uint destination, uint source)
    {
        if (!_frames.TryGet(source, Domain.Id))
        {
            return -EINVAL;
        }

        int error = -EINVAL;
        if (TryGetPageAndType(destination, PageType.Writable))
        {
            Buffer.MemoryCopy(_machine.Frame(source), _machine.Frame(destination), 4096, 4096);
            _machine.CodeMap.Written(_machine.Frame(destination), 4096);
            PutPageAndType(destination);
            error = 0;
        }

        _frames.Put(source);
        return error;
    }
}
