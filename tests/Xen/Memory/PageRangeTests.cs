using System.Runtime.InteropServices;
using Dbt.Perf.Fuzz;
using Dbt.Tests.Xen.Hvm;
using Dbt.Translator.State;
using Dbt.Xen;
using Dbt.Xen.Diagnostics;
using Dbt.Xen.Memory;
using static Dbt.Tests.Xen.Memory.MemoryFixture;

namespace Dbt.Tests.Xen.Memory;

/// <summary><see cref="PageRange"/> at its edges: both layouts, all levels, tables that are made, that are absent, that run out.</summary>
public sealed unsafe class PageRangeTests
{
    private const ulong FourGiB = 1UL << 32;

    [Fact]
    public void EveryEntryOfARangeComesOnceInOrder()
    {
        using var f = new MemoryFixture();
        Assert.Equal("Done 1:3000 1:4000 1:5000", Visit(f, 0x3000, 0x3000));
        Assert.Equal("Done 1:5000", Visit(f, 0x5000, 1));
        Assert.Equal("Done 1:5000 1:6000", Visit(f, 0x5FFF, 2)); // parts count whole
        Assert.Equal("Done", Visit(f, 0x5000, 0));
        Assert.Equal("Done", Visit(f, 0xFFFFFFFF, 0));
    }

    [Theory]
    [InlineData(3, 4)]
    [InlineData(2, 1024)]
    [InlineData(1, 512)]
    public void EveryLevelCanBeAskedFor(int level, int entries)
    {
        // L3 slots 0 and 3 have an L2; one L2 entry has an L1. What lies in the hypervisor's part is not the guest's to ask for.
        using var f = new MemoryFixture();
        var visitor = new Collector();
        Assert.Equal(PageRangeEnd.Done, f.Memory.ApplyToPageRange(f.Vcpu, 0, 0xF5800000, level, ref visitor));
        int hidden = level == 2 ? 512 - PageTableEntry.FirstHypervisorL2Slot : 0;
        Assert.Equal(entries - hidden, visitor.Seen.Count);
    }

    [Fact]
    public void AHoleIsLeftOut()
    {
        using var f = new MemoryFixture();
        uint second = f.Page();
        Assert.Equal(0, f.UpdateEntry(f.L2, 2, Entry(second, P | W | U)));

        // 2 MiB with a table, 2 MiB without, 2 MiB with one again.
        Assert.Equal("Done 1:1ff000 1:400000", Visit(f, 0x1FF000, 0x202000));
    }

    [Fact]
    public void TheHypervisorsAreaAndWhatIsBeyondTheEndAreRefusedWhole()
    {
        using var f = new MemoryFixture();
        Assert.Equal("OutOfRange", Visit(f, 0xF5800000, 1));
        Assert.Equal("OutOfRange", Visit(f, 0, 0xF5800001));
        Assert.Equal("Done", Visit(f, 0xF57FF000, 0x1000));
        Assert.Equal("OutOfRange", Visit(f, 0xFFFFF000, 0x2000));
        Assert.Equal("OutOfRange", Visit(f, 1, ulong.MaxValue));
    }

    [Fact]
    public void ARangeMayEndAtFourGigabytesAndNotWrap()
    {
        using var tables = new Made(PagingMode.Pae);
        Assert.Equal(PageRangeEnd.Done, tables.Visit(0xFFFFE000, 0x2000, 1, out List<string> seen));
        Assert.Equal(["1:ffffe000", "1:fffff000"], seen);
        Assert.Equal(PageRangeEnd.OutOfRange, tables.Visit(0xFFFFE000, 0x2001, 1, out seen));
        Assert.Empty(seen);
        Assert.Equal(PageRangeEnd.OutOfRange, tables.Visit(1, FourGiB, 1, out _));
        Assert.Equal(PageRangeEnd.Done, tables.Visit(0, FourGiB, 3, out seen));
        Assert.Equal(4, seen.Count);
    }

    [Fact]
    public void AVisitorMayStop()
    {
        using var f = new MemoryFixture();
        var visitor = new Collector { Most = 5 };
        Assert.Equal(PageRangeEnd.Stopped, f.Memory.ApplyToPageRange(f.Vcpu, 0, 0x20000, 1, ref visitor));
        Assert.Equal(5, visitor.Seen.Count);
    }

    [Theory]
    [InlineData(true, 3)] // an L2, and L1s on both sides of a 2-MiB border
    [InlineData(false, 1)] // 4 MiB are one table's
    public void TablesAreMadeWhereTheyAreMissing(bool pae, int made)
    {
        using var tables = new Made(pae ? PagingMode.Pae : PagingMode.TwoLevel);
        Assert.Equal(PageRangeEnd.Done, tables.Visit(0x405FF000, 0x2000, 1, out List<string> seen));
        Assert.Equal(["1:405ff000", "1:40600000"], seen);
        Assert.Equal(made, tables.Count);
        Assert.Equal(PageRangeEnd.Done, tables.Visit(0x405FF000, 0x2000, 1, out _));
        Assert.Equal(made, tables.Count);
    }

    [Fact]
    public void WhenNoTableIsLeftWhatWasMadeStays()
    {
        using var tables = new Made(PagingMode.Pae, most: 2);
        Assert.Equal(PageRangeEnd.NoTable, tables.Visit(0x1FF000, 0x2000, 1, out List<string> seen));
        Assert.Equal(["1:1ff000"], seen);
        Assert.Equal(2, tables.Count);
    }

    [Fact]
    public void ALargePageIsOneEntry()
    {
        using var tables = new Made(PagingMode.TwoLevel);
        tables.Put(0, 3, 0x00C00000 | 0x81);
        Assert.Equal(PageRangeEnd.Done, tables.Visit(0xC00000, 0x400000, 1, out List<string> seen));
        Assert.Equal(["2:c00000"], seen);
    }

    [Fact]
    public void AFailureHalfWayLeavesCountsExact()
    {
        using var hypervisor = new Hypervisor(64 << 20);
        var f = new MemoryFixture(hypervisor, pages: 16);
        var other = new MemoryFixture(hypervisor, pages: 4);

        // The fifth entry is to map what is another's.
        var remap = new Remap { Memory = f.Memory, Domain = f.Domain.Id, Frames = [.. f.Pages.Take(4).Append(other.Pages[0])] };
        Assert.Equal(PageRangeEnd.Stopped, f.Memory.ApplyToPageRange(f.Vcpu, 0x8000, 0x8000, 1, ref remap));
        Assert.Equal(4, remap.Done);
        Assert.Null(PageTableAudit.Find(f.Domain));
        Assert.Null(PageTableAudit.Find(other.Domain));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void ATranslatedGuestsTablesAreReadByItsOwnMode(bool pae)
    {
        using var guest = new HvmFixture();
        CpuState* cpu = guest.Vcpu.State;
        var visitor = new Collector();
        Assert.Equal(PageRangeEnd.Done, guest.Domain.Memory.ApplyToPageRange(guest.Vcpu, 0x400000, 0x1000, 1, ref visitor));
        Assert.Empty(visitor.Seen); // no paging, no entries

        if (pae)
        {
            guest.Put(0x20020, 0x21001);
            guest.Put(0x21010, 0x22003);
            guest.Put(0x22000, 0x5003);
        }
        else
        {
            guest.Put(0x20004, 0x22003);
            guest.Put(0x22000, 0x5003);
        }

        (cpu->Cr3, cpu->Cr4, cpu->Cr0) = (pae ? 0x20020u : 0x20000, pae ? 0x20u : 0, cpu->Cr0 | 0x80000000);
        Assert.Equal(PageRangeEnd.Done, guest.Domain.Memory.ApplyToPageRange(guest.Vcpu, 0x400000, 0x1000, 1, ref visitor));
        Assert.Equal(["1:400000"], visitor.Seen);
        Assert.EndsWith("L1[0] 5003", PageTableListing.Describe(guest.Vcpu, 0x400000), StringComparison.Ordinal);

        // A table that is no memory ends the walk, whatever it is said to be.
        guest.Put(pae ? 0x21010u : 0x20004, 0x7FFFF003);
        Assert.Equal(PageRangeEnd.Done, guest.Domain.Memory.ApplyToPageRange(guest.Vcpu, 0, FourGiB, 1, ref visitor));
        Assert.Single(visitor.Seen);
    }

    private static string Visit(MemoryFixture f, uint start, ulong bytes)
    {
        var visitor = new Collector();
        PageRangeEnd end = f.Memory.ApplyToPageRange(f.Vcpu, start, bytes, 1, ref visitor);
        return string.Join(' ', visitor.Seen.Prepend(end.ToString()));
    }

    private struct Collector() : IPageTableVisitor
    {
        public List<string> Seen { get; } = [];

        public int Most { get; init; } = int.MaxValue;

        public readonly bool Visit(in PageTableSlot slot)
        {
            Seen.Add($"{slot.Level}:{slot.Linear:x}");
            return Seen.Count < Most;
        }
    }

    private struct Remap : IPageTableVisitor
    {
        public DomainMemory Memory;
        public ushort Domain;
        public uint[] Frames;
        public int Done;

        public bool Visit(in PageTableSlot slot)
        {
            if (Memory.UpdateEntry(slot.Table, slot.Index, Entry(Frames[Done], P | W | U), false, Domain) != 0)
            {
                return false;
            }

            Done++;
            return true;
        }
    }

    /// <summary>Tables in host memory, made as they are needed.</summary>
    private sealed class Made : IDisposable
    {
        private readonly byte* _pages = (byte*)NativeMemory.AllocZeroed(16, 4096);
        private Tables _tables;

        public Made(PagingMode mode, int most = 15) => _tables = new Tables(mode, _pages, most);

        public int Count => _tables.Count;

        public void Put(int page, int index, uint value) => ((uint*)(_pages + (page * 4096)))[index] = value;

        public PageRangeEnd Visit(uint start, ulong bytes, int level, out List<string> seen)
        {
            var visitor = new Collector();
            seen = visitor.Seen;
            return PageRange.Apply(ref _tables, start, bytes, level, ref visitor);
        }

        public void Dispose() => NativeMemory.Free(_pages);
    }

    private struct Tables(PagingMode mode, byte* pages, int most) : IPageTables
    {
        public int Count { get; private set; }

        public readonly PagingMode Mode => mode;

        public readonly bool HasLargePages => true;

        public readonly ulong Root => 0;

        public readonly uint Last => uint.MaxValue;

        public readonly bool MakesTables => true;

        public readonly byte* Entry(ulong physical) => pages + physical;

        public bool TryMakeTable(in PageTableSlot slot)
        {
            if (Count == most)
            {
                return false;
            }

            slot.Write(((ulong)++Count << 12) | 1);
            return true;
        }
    }
}
