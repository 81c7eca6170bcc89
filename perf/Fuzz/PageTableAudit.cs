using Dbt.Translator.Memory;
using Dbt.Xen;
using Dbt.Xen.Memory;

namespace Dbt.Perf.Fuzz;

/// <summary>
/// Recomputes what a paravirtual domain's page tables hold, and compares it with what was counted; and every software-TLB entry with a fresh
/// walk. The domain's processors must not run. Of a domain that has no page in use by grants, descriptor tables or vcpu_info: what
/// else holds references isn't known here.
/// </summary>
internal static unsafe class PageTableAudit
{
    private const ulong Writable = PageTableEntry.Writable;

    /// <summary>Looks at all of it.</summary>
    /// <returns>Null, or what is wrong.</returns>
    public static string? Find(Domain domain)
    {
        FrameTable frames = domain.Hypervisor.Frames;
        uint end = domain.Hypervisor.Machine.HighWater;
        var references = new int[end];
        var types = new int[end];
        for (uint mfn = 1; mfn < end; mfn++)
        {
            ref PageInfo page = ref frames[mfn];
            if (page.Owner != domain.Id || page.References == 0)
            {
                continue;
            }

            int pinned = (page.TypeInfo & PageInfo.Pinned) != 0 ? 1 : 0;
            references[mfn] += ((page.References & PageInfo.Allocated) != 0 ? 1 : 0) + pinned;
            types[mfn] += pinned;

            // A hypervisor's page has a type count that nobody gives back.
            types[mfn] += (page.References & PageInfo.HypervisorPage) != 0 ? 1 : 0;

            if (CountEntries(domain, mfn, references, types) is { } problem)
            {
                return problem;
            }
        }

        foreach (Vcpu vcpu in domain.Vcpus.Where(vcpu => vcpu.BaseMfn != 0))
        {
            references[vcpu.BaseMfn]++;
            types[vcpu.BaseMfn]++;
        }

        return Compare(domain, references, types) ?? FindInTlbs(domain);
    }

    private static string? CountEntries(Domain domain, uint table, int[] references, int[] types)
    {
        FrameTable frames = domain.Hypervisor.Frames;
        ulong info = frames[table].TypeInfo;
        PageType type = PageInfo.TypeOf(info);
        if (PageInfo.CountOf(info) == 0 || type is not (PageType.L1 or PageType.L2 or PageType.L3))
        {
            return null;
        }

        ulong* entries = (ulong*)domain.Hypervisor.Machine.Frame(table);
        for (int i = 0; i < (type == PageType.L3 ? 4 : 512); i++)
        {
            ulong target = PageTableEntry.Frame(entries[i]);
            if (!PageTableEntry.IsPresent(entries[i]) || (type == PageType.L2 && target == table))
            {
                continue;
            }

            if (target >= (ulong)references.Length || frames[(uint)target].Owner != domain.Id)
            {
                return $"entry {i} of table {table:x} leads to {target:x}, which is not the domain's";
            }

            references[target]++;
            bool writable = (entries[i] & Writable) != 0;
            types[target] += type != PageType.L1 || writable ? 1 : 0;
            if (type == PageType.L1 && writable && frames.TypeOf((uint)target) != PageType.Writable)
            {
                return $"entry {i} of table {table:x} maps {target:x} writable, which is a {frames.TypeOf((uint)target)}";
            }
        }

        return null;
    }

    private static string? Compare(Domain domain, int[] references, int[] types)
    {
        FrameTable frames = domain.Hypervisor.Frames;
        for (uint mfn = 1; mfn < references.Length; mfn++)
        {
            ref PageInfo page = ref frames[mfn];
            if (page.Owner != domain.Id || page.References == 0)
            {
                if (references[mfn] != 0)
                {
                    return $"frame {mfn:x} is not the domain's, and mapped";
                }

                continue;
            }

            (uint real, uint count) = (page.References & PageInfo.ReferenceMask, PageInfo.CountOf(page.TypeInfo));
            if (real != references[mfn] || count != types[mfn])
            {
                return $"frame {mfn:x} has {references[mfn]} references and {types[mfn]} type counts, recorded are {real} and {count} ({page.TypeInfo:x})";
            }
        }

        return null;
    }

    private static string? FindInTlbs(Domain domain)
    {
        foreach (Vcpu vcpu in domain.Vcpus.Where(vcpu => vcpu.AddressSpace is not null))
        {
            SoftwareTlb tlb = vcpu.AddressSpace!.Tlb;
            for (uint gigabyte = 0; gigabyte < 4; gigabyte++)
            {
                for (uint page = gigabyte << 18; page < (gigabyte << 18) + (5 << 9); page++)
                {
                    if (FindInTlb(domain, vcpu, tlb, page) is { } problem)
                    {
                        return problem;
                    }
                }
            }
        }

        return null;
    }

    // Every entry is what a walk would give, and none leads writable to anything but a writable page.
    private static string? FindInTlb(Domain domain, Vcpu vcpu, SoftwareTlb tlb, uint page)
    {
        for (int kind = 0; kind < 6; kind++)
        {
            var access = (MemoryAccess)(kind % 3);
            long entry = tlb.Entry(page, access, kind >= 3);
            uint linear = page << 12;
            if (entry == 0)
            {
                continue;
            }

            if (!domain.Memory.TryResolve(vcpu, linear, access, kind >= 3, out byte* host, out _) || (nint)host != entry + linear)
            {
                return $"the software TLB lets {linear:x} be used ({access}), and a walk doesn't, or leads elsewhere";
            }

            if (access == MemoryAccess.Write && domain.Memory.TypeOf(domain.Hypervisor.Machine.FrameOf(host)) != PageType.Writable)
            {
                return $"the software TLB lets {linear:x} be written, which is a {domain.Memory.TypeOf(domain.Hypervisor.Machine.FrameOf(host))}";
            }
        }

        return null;
    }
}
