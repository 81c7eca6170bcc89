using Dbt.Translator.Memory;
using Dbt.Xen;
using Dbt.Xen.Memory;
using static Dbt.Tests.Xen.Memory.MemoryFixture;

namespace Dbt.Tests.Xen.Memory;

/// <summary>
/// A hostile guest's random page-table work. After it, every count is recomputed from what the tables hold, and every software-TLB entry
/// is compared with a fresh walk.
/// </summary>
public sealed unsafe class PageTableFuzzTests
{
    private const int Operations = 20_000;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void CountsAndSoftwareTlbsStayExact(int seed)
    {
        using var hypervisor = new Hypervisor(64 << 20);
        var f = new MemoryFixture(hypervisor, pages: 16);
        var other = new MemoryFixture(hypervisor, pages: 4);
        var random = new Random(seed);

        // A small pool, so that the same frame is tried as everything; and a root of their own that stays, so that arguments are reachable.
        var pool = new List<uint> { f.L1, f.L2, f.L2High, f.L3, other.Pages[0], other.L1, hypervisor.Machine.FrameCount + 3 };
        for (int i = 0; i < 24; i++)
        {
            uint page = f.Page();
            pool.Add(page);
            for (int entry = 0; entry < 6; entry++)
            {
                f.Table(page)[random.Next(512)] = random.Next(3) == 0 ? RandomEntry(random, pool) : 0;
            }
        }

        for (uint i = 0; i < 8; i++)
        {
            // A plausible root, some of which will be valid.
            uint root = pool[pool.Count - 1 - (int)i];
            f.Table(root)[3] = Entry(pool[7 + (int)(i * 2)], P);
        }

        int succeeded = 0;
        for (int i = 0; i < Operations; i++)
        {
            succeeded += Operate(f, random, pool) ? 1 : 0;
            if (i % 8 == 0)
            {
                CheckTlb(f);
            }

            if (i % 1000 == 0)
            {
                Check(f);
            }
        }

        Check(f);
        Check(other);
        Assert.True(succeeded > Operations / 20, $"only {succeeded} operations did anything");
        f.Domain.Dispose();
        other.Domain.Dispose();
        for (uint mfn = 1; mfn < hypervisor.Machine.HighWater; mfn++)
        {
            Assert.Equal((0u, 0ul), (hypervisor.Frames[mfn].References, hypervisor.Frames[mfn].TypeInfo));
        }
    }

    private static ulong RandomEntry(Random random, List<uint> pool)
    {
        ulong flags = random.Next(8) switch
        {
            0 => 0,
            1 or 2 or 3 => P,
            4 or 5 => P | W | U,
            6 => P | W | Nx,
            _ => (ulong)(uint)random.Next(4096) | ((ulong)(uint)random.Next(4096) << 52),
        };
        return Entry(pool[random.Next(pool.Count)], flags);
    }

    // Directly at the domain's memory: there is no argument page that a hostile update couldn't take away.
    private static bool Operate(MemoryFixture f, Random random, List<uint> pool)
    {
        uint frame = pool[random.Next(pool.Count)];
        uint range = random.Next(3) == 0 ? ((uint)random.Next(4) << 30) | ((uint)random.Next(4) << 21) : 0;
        uint linear = range | ((uint)random.Next(24) << 12);
        switch (random.Next(20))
        {
            case < 8:
                int index = random.Next(3) == 0 ? random.Next(512) : random.Next(8);
                return f.Memory.UpdateEntry(frame, index, RandomEntry(random, pool), random.Next(2) == 0, f.Domain.Id) == 0;
            case < 10:
                return f.Memory.UpdateMapping(f.Vcpu, linear, RandomEntry(random, pool), f.Domain.Id) == 0;
            case < 12:
                return f.Memory.Pin(frame, (PageType)random.Next(1, 4)) == 0;
            case < 14:
                // The first root stays pinned, so that there is always one to go back to.
                return frame != f.L3 && f.Memory.Unpin(frame) == 0;
            case 14:
                return f.Memory.SwitchBase(f.Vcpu, random.Next(2) == 0 ? f.L3 : frame) == 0;
            case 15:
                if (f.Memory.Owns(frame) && frame != f.L3 && f.Memory.TryReleasePage(frame))
                {
                    pool.Remove(frame);
                    pool.Add(f.Page());
                    return true;
                }

                return false;
            default:
                return f.TryResolve(linear, (MemoryAccess)random.Next(3), random.Next(2) == 0, out _, out _);
        }
    }

    private static void Check(MemoryFixture f)
    {
        Assert.Null(f.Domain.CrashReport?.Reason);
        FrameTable frames = f.Hypervisor.Frames;
        uint end = f.Hypervisor.Machine.HighWater;
        var references = new int[end];
        var types = new int[end];
        for (uint mfn = 1; mfn < end; mfn++)
        {
            ref PageInfo page = ref frames[mfn];
            if (page.Owner != f.Domain.Id || page.References == 0)
            {
                continue;
            }

            references[mfn] += (page.References & PageInfo.Allocated) != 0 ? 1 : 0;
            int pinned = (page.TypeInfo & PageInfo.Pinned) != 0 ? 1 : 0;
            references[mfn] += pinned;
            types[mfn] += pinned;
            CountEntries(f, mfn, references, types);
        }

        references[f.Vcpu.BaseMfn]++;
        types[f.Vcpu.BaseMfn]++;
        for (uint mfn = 1; mfn < end; mfn++)
        {
            ref PageInfo page = ref frames[mfn];
            if (page.Owner == f.Domain.Id && page.References != 0)
            {
                bool same = references[mfn] == f.References(mfn) && types[mfn] == f.TypeCount(mfn);
                Assert.True(same, $"frame {mfn:x}: {references[mfn]} references and {types[mfn]} counts, recorded {f.Counts(mfn)}");
            }
            else
            {
                Assert.True(references[mfn] == 0, $"frame {mfn:x} is not the domain's, and mapped");
            }
        }

        CheckTlb(f);
    }

    private static void CountEntries(MemoryFixture f, uint table, int[] references, int[] types)
    {
        ulong info = f.Info(table).TypeInfo;
        PageType type = PageInfo.TypeOf(info);
        if (PageInfo.CountOf(info) == 0 || type is not (PageType.L1 or PageType.L2 or PageType.L3))
        {
            return;
        }

        for (int i = 0; i < (type == PageType.L3 ? 4 : 512); i++)
        {
            ulong entry = f.Table(table)[i];
            ulong target = PageTableEntry.Frame(entry);
            if (!PageTableEntry.IsPresent(entry) || (type == PageType.L2 && target == table))
            {
                continue;
            }

            Assert.True(target < (ulong)references.Length, "a validated entry leads beyond the machine");
            Assert.Equal(f.Domain.Id, f.Hypervisor.Frames[(uint)target].Owner);
            references[target]++;
            types[target] += type != PageType.L1 || (entry & W) != 0 ? 1 : 0;
            if (type == PageType.L1 && (entry & W) != 0)
            {
                Assert.Equal(PageType.Writable, f.Memory.TypeOf((uint)target));
            }
        }
    }

    // Every entry of the software TLB in force is what a walk would give, and none leads writable to anything but a writable page.
    private static void CheckTlb(MemoryFixture f)
    {
        SoftwareTlb tlb = f.Vcpu.AddressSpace!.Tlb;
        for (uint i = 0; i < 4 * 4 * 24; i++)
        {
            // Where the operations above go: 24 pages in each of the first ranges of each gigabyte.
            uint page = (i / 96 << 18) | (i / 24 % 4 << 9) | (i % 24);
            for (int kind = 0; kind < 6; kind++)
            {
                var access = (MemoryAccess)(kind % 3);
                long entry = tlb.Entry(page, access, kind >= 3);
                if (entry == 0)
                {
                    continue;
                }

                uint linear = page << 12;
                Assert.True(f.TryResolve(linear, access, kind >= 3, out byte* host, out _), $"{linear:x} {access}");
                Assert.Equal(entry + linear, (nint)host);
                if (access == MemoryAccess.Write)
                {
                    Assert.Equal(PageType.Writable, f.Memory.TypeOf(f.Hypervisor.Machine.FrameOf(host)));
                }
            }
        }
    }
}
