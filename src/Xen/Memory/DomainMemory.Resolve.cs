using Dbt.Translator.Memory;
using Dbt.Translator.State;
using Dbt.Xen.Abi;

namespace Dbt.Xen.Memory;

/// <content>The page walk (SDM vol. 3, 4.4 and 4.6), and filling the software TLBs.</content>
public sealed unsafe partial class DomainMemory
{
    private long _tlbFills;

    /// <summary>Page walks that ended in a software TLB entry, for <c>--stats</c>.</summary>
    public long TlbFills => Interlocked.Read(ref _tlbFills) + Domain.Vcpus.Sum(vcpu => vcpu.Hvm?.TlbFills ?? 0);

    /// <summary>
    /// See <see cref="Translator.Platform.TryResolve"/>. CR0.WP and EFER.NX are always set for a paravirtual guest; the hypervisor's range
    /// shows the machine-to-phys table, readable at any privilege level, and nothing else.
    /// </summary>
    public bool TryResolve(Vcpu vcpu, uint linear, MemoryAccess access, bool user, out byte* host, out PageFaultCode error)
    {
        lock (Lock)
        {
            if (vcpu.PageTableWrite is { } emulation && emulation.TryResolve(linear, access, out host))
            {
                error = PageFaultCode.None;
                return true;
            }

            return linear >= Layout.HypervisorStart
                ? TryResolveHypervisor(vcpu, linear, access, user, out host, out error)
                : TryWalk(vcpu, linear, access, user, out host, out error);
        }
    }

    private static PageFaultCode FaultCode(MemoryAccess access, bool user, bool present) =>
        (present ? PageFaultCode.Protection : 0)
        | (access == MemoryAccess.Write ? PageFaultCode.Write : 0)
        | (access == MemoryAccess.Execute ? PageFaultCode.Fetch : 0)
        | (user ? PageFaultCode.User : 0);

    private bool TryWalk(Vcpu vcpu, uint linear, MemoryAccess access, bool user, out byte* host, out PageFaultCode error)
    {
        host = null;
        error = FaultCode(access, user, present: false);
        if (vcpu.AddressSpace is not { } space)
        {
            return false;
        }

        ulong entry3 = Entry(space.Root, (int)(linear >> 30));
        if (!PageTableEntry.IsPresent(entry3))
        {
            return false;
        }

        uint l2 = (uint)PageTableEntry.Frame(entry3);
        if (!IsTable(vcpu, l2))
        {
            return false;
        }

        ulong* pointer2 = (ulong*)_machine.Frame(l2) + ((linear >> 21) & 511);
        ulong entry2 = Volatile.Read(ref *pointer2);
        if (!PageTableEntry.IsPresent(entry2))
        {
            return false;
        }

        uint l1 = (uint)PageTableEntry.Frame(entry2);
        if (!IsTable(vcpu, l1))
        {
            return false;
        }

        ulong* pointer1 = (ulong*)_machine.Frame(l1) + ((linear >> 12) & 511);
        ulong entry1 = Volatile.Read(ref *pointer1);
        if (!PageTableEntry.IsPresent(entry1))
        {
            return false;
        }

        // Rights are those of both levels; L3 entries have none under PAE.
        ulong both = entry1 & entry2;
        bool refused = (user && (both & PageTableEntry.User) == 0)
            || (access == MemoryAccess.Write && (both & PageTableEntry.Writable) == 0)
            || (access == MemoryAccess.Execute && ((entry1 | entry2) & PageTableEntry.NoExecute) != 0);
        if (refused)
        {
            error = FaultCode(access, user, present: true);
            return false;
        }

        uint frame = (uint)PageTableEntry.Frame(entry1);
        if (!MayMap(vcpu, frame, writable: (both & PageTableEntry.Writable) != 0))
        {
            return false;
        }

        SetBits(pointer2, entry2, PageTableEntry.Accessed, l2);
        SetBits(pointer1, entry1, PageTableEntry.Accessed | (access == MemoryAccess.Write ? PageTableEntry.Dirty : 0), l1);
        bool logs = _machine.CodeMap.Dirty.IsOn;
        if (logs && access == MemoryAccess.Write)
        {
            _machine.CodeMap.Dirty.Mark(frame);
        }

        // What has the dirty bit is written again and again; but not while it is to be told when.
        bool dirty = access == MemoryAccess.Write || (!logs && (entry1 & PageTableEntry.Dirty) != 0);
        Fill(space, linear >> 12, access, user, l2, l1, frame, writable: dirty && (both & PageTableEntry.Writable) != 0);
        host = _machine.Frame(frame) + (linear & 0xFFF);
        error = PageFaultCode.None;
        return true;
    }

    private void Fill(AddressSpace space, uint page, MemoryAccess access, bool user, uint l2, uint l1, uint frame, bool writable)
    {
        _spaces.Note(space, page, l2, l1);
        _tlbFills++;
        byte* hostPage = _machine.Frame(frame);
        if (access == MemoryAccess.Execute)
        {
            space.Tlb.Set(page, MemoryAccess.Execute, user, hostPage);
            return;
        }

        space.Tlb.Set(page, MemoryAccess.Read, user, hostPage);
        if (!writable)
        {
            return;
        }

        // Noted before it is looked at whether there is code: who marks a frame afterwards drops what was noted.
        if (_frames[frame].Owner == Domain.Id)
        {
            _spaces.NoteWrite(space, page, frame);
        }

        if (!_machine.CodeMap.HasCode(frame))
        {
            space.Tlb.Set(page, MemoryAccess.Write, user, hostPage);
        }
    }

    private bool TryResolveHypervisor(Vcpu vcpu, uint linear, MemoryAccess access, bool user, out byte* host, out PageFaultCode error)
    {
        uint offset = linear - Layout.HypervisorStart;
        bool mapped = linear < Layout.MachineToPhysEnd && offset < Domain.Hypervisor.MachineToPhysBytes;
        if (mapped && access == MemoryAccess.Read)
        {
            byte* table = (byte*)Domain.Hypervisor.MachineToPhys;
            vcpu.AddressSpace?.Tlb.Set(linear >> 12, MemoryAccess.Read, user, table + (offset & ~0xFFFu));
            host = table + offset;
            error = PageFaultCode.None;
            return true;
        }

        host = null;
        error = FaultCode(access, user, present: mapped);
        return false;
    }

    private ulong Entry(uint table, int index) => Volatile.Read(ref *((ulong*)_machine.Frame(table) + index));

    /// <summary>Every table that a walk meets was validated. This is the second lock on the door: a broken one stops the domain.</summary>
    private bool IsTable(Vcpu vcpu, uint mfn)
    {
        if (mfn < _frames.Count && _frames[mfn].Owner == Domain.Id && Tables.IsTable(mfn))
        {
            return true;
        }

        Domain.Crash(vcpu, $"a page walk met frame {mfn:x}, which is no page table of this domain");
        return false;
    }

    private bool MayMap(Vcpu vcpu, uint frame, bool writable)
    {
        if (frame < _frames.Count)
        {
            ref PageInfo page = ref _frames[frame];
            ulong type = Volatile.Read(ref page.TypeInfo);
            bool typed = !writable || (PageInfo.TypeOf(type) == PageType.Writable && PageInfo.CountOf(type) != 0);
            if (typed && (page.Owner == Domain.Id || Domain.Grants.MapsForeign(frame)))
            {
                return true;
            }
        }

        Domain.Crash(vcpu, $"a page walk met frame {frame:x}, which this domain may not map");
        return false;
    }

    private void SetBits(ulong* pointer, ulong seen, ulong bits, uint table)
    {
        if ((seen & bits) != bits)
        {
            Interlocked.Or(ref *pointer, bits);
            _frames.MarkWritten(table);
        }
    }
}
