using System.Diagnostics;
using Dbt.Runtime.Memory;
using static Dbt.Xen.Abi.Errno;

namespace Dbt.Xen.Memory;

/// <summary>
/// A domain's page tables: taking and giving back typed references, which validates a table's contents when it becomes one and gives up
/// everything it referred to when it ceases to be one. Errors are negative errnos. All under the domain's page-table lock, so a
/// validation is never seen half done, and needs no partial state (XSA-299, XSA-310); one call looks at no more than the 2^20 entries that
/// an L3 table can lead to (XSA-45).
/// </summary>
internal sealed unsafe partial class PageTables
{
    private readonly Domain _domain;
    private readonly FrameTable _frames;
    private readonly MachineMemory _machine;
    private readonly AddressSpaces _spaces;
    private readonly GracePeriod _grace;

    public PageTables(Domain domain, AddressSpaces spaces, GracePeriod grace)
    {
        _domain = domain;
        _frames = domain.Hypervisor.Frames;
        _machine = domain.Hypervisor.Machine;
        _spaces = spaces;
        _grace = grace;
    }

    /// <summary>Takes a reference to the domain's own frame and a count of a type, validating it where it gets the type only now.</summary>
    /// <param name="mfn">Any number, as the guest gave it.</param>
    /// <param name="type">L1, L2, L3, Descriptor or Writable.</param>
    /// <param name="hypervisorL2">For L2: it is to be slot 3 of an L3.</param>
    /// <returns>0, or -EINVAL and the like; then nothing is held.</returns>
    public int GetPageAndType(ulong mfn, PageType type, bool hypervisorL2 = false)
    {
        if (mfn >= _frames.Count || !_frames.TryGet((uint)mfn, _domain.Id))
        {
            return -EINVAL;
        }

        int error = GetType((uint)mfn, type, hypervisorL2);
        if (error != 0)
        {
            _frames.Put((uint)mfn);
        }

        return error;
    }

    /// <summary>Gives back what <see cref="GetPageAndType"/> took.</summary>
    public void PutPageAndType(uint mfn)
    {
        PutType(mfn, parent: 0);
        _frames.Put(mfn);
    }

    /// <summary>Takes a count of a type on a frame that the caller holds a reference to.</summary>
    public int GetType(uint mfn, PageType type, bool hypervisorL2 = false)
    {
        if (type == PageType.Writable)
        {
            return _frames.TryGetWritable(mfn) ? 0 : -EINVAL;
        }

        ref PageInfo page = ref _frames[mfn];
        ulong wanted = ((ulong)type << 32) | (hypervisorL2 ? PageInfo.HypervisorL2 : 0);
        ulong seen = Volatile.Read(ref page.TypeInfo);
        while (true)
        {
            uint count = PageInfo.CountOf(seen);
            ulong next = seen + 1;
            if (count == uint.MaxValue)
            {
                return -EINVAL;
            }

            if (count == 0)
            {
                next = wanted | 1;
            }
            else if ((seen & (PageInfo.TypeMask | PageInfo.HypervisorL2)) != wanted || (seen & PageInfo.Validated) == 0)
            {
                // Not validated: the table that is being validated leads to itself.
                return -EINVAL;
            }

            ulong was = Interlocked.CompareExchange(ref page.TypeInfo, next, seen);
            if (was == seen)
            {
                return count != 0 ? 0 : BecomeTyped(mfn, type, hypervisorL2);
            }

            seen = was;
        }
    }

    /// <summary>Gives back a count of a type; the last one of a table gives up all that the table refers to.</summary>
    /// <param name="mfn">The frame.</param>
    /// <param name="parent">The table whose entry held the count, or 0; what linear page tables count by.</param>
    public void PutType(uint mfn, uint parent)
    {
        ref PageInfo page = ref _frames[mfn];
        ulong now = Volatile.Read(ref page.TypeInfo);
        PageType type = PageInfo.TypeOf(now);
        if (type is PageType.Writable or PageType.Descriptor)
        {
            _frames.PutPlainType(mfn);
            return;
        }

        if (PageInfo.CountOf(now) == 0 || type is not (PageType.L1 or PageType.L2 or PageType.L3))
        {
            throw new UnreachableException($"frame {mfn:x}: type count of {now:x} given back once too often");
        }

        if (parent != 0 && type == PageType.L2 && _frames.TypeOf(parent) == PageType.L2)
        {
            page.LinearCount++;
            _frames[parent].LinearCount--;
        }

        // Table types are counted under this domain's lock only: plain writes do, published as one.
        if (PageInfo.CountOf(now) > 1)
        {
            Volatile.Write(ref page.TypeInfo, now - 1);
            return;
        }

        Volatile.Write(ref page.TypeInfo, now & ~PageInfo.Validated);
        Demote(mfn, type, (now & PageInfo.HypervisorL2) != 0);
        page.LinearCount = 0;
        Volatile.Write(ref page.TypeInfo, 0);
    }

    /// <summary>Gives the type pinned status: the count stays until <see cref="Unpin"/>.</summary>
    public int Pin(ulong mfn, PageType type)
    {
        int error = GetPageAndType(mfn, type);
        if (error != 0)
        {
            return error;
        }

        if ((Interlocked.Or(ref _frames[(uint)mfn].TypeInfo, PageInfo.Pinned) & PageInfo.Pinned) != 0)
        {
            PutPageAndType((uint)mfn);
            return -EINVAL;
        }

        return 0;
    }

    /// <summary>Ends a pin.</summary>
    public int Unpin(ulong mfn)
    {
        if (mfn >= _frames.Count || !_frames.TryGet((uint)mfn, _domain.Id))
        {
            return -EINVAL;
        }

        bool pinned = (Interlocked.And(ref _frames[(uint)mfn].TypeInfo, ~PageInfo.Pinned) & PageInfo.Pinned) != 0;
        if (pinned)
        {
            PutPageAndType((uint)mfn);
        }

        _frames.Put((uint)mfn);
        return pinned ? 0 : -EINVAL;
    }

    private ulong* Entries(uint mfn) => (ulong*)_machine.Frame(mfn);

    private int BecomeTyped(uint mfn, PageType type, bool hypervisorL2)
    {
        _frames[mfn].LinearCount = 0;
        int error = type switch
        {
            PageType.L1 => PromoteL1(mfn),
            PageType.L2 => PromoteL2(mfn, hypervisorL2),
            PageType.L3 => PromoteL3(mfn),
            PageType.Descriptor => PromoteDescriptors(mfn),
            _ => throw new UnreachableException($"type {type}"),
        };
        if (error == 0)
        {
            Interlocked.Or(ref _frames[mfn].TypeInfo, PageInfo.Validated);
        }
        else
        {
            Volatile.Write(ref _frames[mfn].TypeInfo, 0);
        }

        // Becoming a table clears what isn't the guest's, and puts descriptors right.
        _frames.MarkWritten(mfn);
        return error;
    }

    private int PromoteL1(uint mfn)
    {
        ulong* entries = Entries(mfn);
        for (int i = 0; i < 512; i++)
        {
            if (!PageTableEntry.IsPresent(entries[i]))
            {
                continue;
            }

            int error = GetMappedPage(entries[i], _domain.Id);
            if (error != 0)
            {
                while (--i >= 0)
                {
                    PutMappedPage(entries[i]);
                }

                return error;
            }
        }

        return 0;
    }

    private int PromoteL2(uint mfn, bool hypervisorL2)
    {
        ulong* entries = Entries(mfn);
        int slots = hypervisorL2 ? PageTableEntry.FirstHypervisorL2Slot : 512;
        for (int i = 0; i < slots; i++)
        {
            if (!PageTableEntry.IsPresent(entries[i]))
            {
                continue;
            }

            int error = GetL1Table(entries[i], mfn);
            if (error != 0)
            {
                while (--i >= 0)
                {
                    PutL1Table(entries[i], mfn);
                }

                return error;
            }
        }

        // What lies in the hypervisor's slots was not validated: a linear mapping of this table must not find it.
        new Span<ulong>(entries + slots, 512 - slots).Clear();
        return 0;
    }

    private int PromoteL3(uint mfn)
    {
        ulong* entries = Entries(mfn);
        for (int i = 0; i < 4; i++)
        {
            int error = PageTableEntry.IsPresent(entries[i]) ? GetL2Table(entries[i], i == 3) : i == 3 ? -EINVAL : 0;
            if (error == 0 && i == 3 && !HypervisorL2IsPrivate(entries[3]))
            {
                PutL2Table(entries[3]);
                error = -EINVAL;
            }

            if (error != 0)
            {
                while (--i >= 0)
                {
                    PutL2Table(entries[i]);
                }

                return error;
            }
        }

        return 0;
    }

    private int PromoteDescriptors(uint mfn) => Processor.DescriptorCheck.TryFixPage((byte*)Entries(mfn)) ? 0 : -EINVAL;

    private void Demote(uint mfn, PageType type, bool hypervisorL2)
    {
        ulong* entries = Entries(mfn);
        switch (type)
        {
            case PageType.L1:
                _spaces.TableGone(mfn);
                for (int i = 0; i < 512; i++)
                {
                    PutMappedPage(entries[i]);
                }

                break;
            case PageType.L2:
                _spaces.TableGone(mfn);
                int slots = hypervisorL2 ? PageTableEntry.FirstHypervisorL2Slot : 512;
                for (int i = 0; i < slots; i++)
                {
                    PutL1Table(entries[i], mfn);
                }

                break;
            default:
                _spaces.Discard(mfn);
                for (int i = 0; i < 4; i++)
                {
                    PutL2Table(entries[i]);
                }

                break;
        }
    }

    // The L2 in slot 3 holds hypervisor mappings in Xen, which is why no two L3s may share it.
    private bool HypervisorL2IsPrivate(ulong entry) =>
        PageInfo.CountOf(_frames[(uint)PageTableEntry.Frame(entry)].TypeInfo) == 1;
}
