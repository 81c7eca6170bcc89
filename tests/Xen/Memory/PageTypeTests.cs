using Dbt.Xen.Memory;
using static Dbt.Tests.Xen.Memory.MemoryFixture;
using static Dbt.Xen.Abi.Errno;

namespace Dbt.Tests.Xen.Memory;

public sealed unsafe class PageTypeTests : IDisposable
{
    private readonly MemoryFixture _f = new();

    public void Dispose() => _f.Dispose();

    [Fact]
    public void InstallingTypesTheWholeTree()
    {
        Assert.Equal(PageType.L3, _f.Memory.TypeOf(_f.L3));
        Assert.Equal(PageType.L2, _f.Memory.TypeOf(_f.L2));
        Assert.Equal(PageType.L2, _f.Memory.TypeOf(_f.L2High));
        Assert.Equal(PageType.L1, _f.Memory.TypeOf(_f.L1));
        Assert.Equal(PageType.Writable, _f.Memory.TypeOf(_f.Pages[0]));

        // Own reference, the pin's and the base pointer's.
        Assert.Equal(3u, _f.References(_f.L3));
        Assert.Equal(2u, _f.TypeCount(_f.L3));
        Assert.Equal(2u, _f.References(_f.Pages[0]));
    }

    [Fact]
    public void PinAndUnpinRestoreAllCounts()
    {
        uint table = _f.Page(), page = _f.Page();
        _f.Table(table)[5] = Entry(page, P | W);
        _f.Table(table)[6] = Entry(page, P);
        Assert.Equal(0, _f.Pin(table, PageType.L1));
        Assert.Equal((3u, 1u), (_f.References(page), _f.TypeCount(page)));
        Assert.Equal(0, _f.Unpin(table));
        Assert.Equal((1u, 0u), (_f.References(page), _f.TypeCount(page)));
        Assert.Equal((1u, 0ul), _f.Counts(table));
    }

    [Fact]
    public void PinningTwiceOrUnpinningTwiceFails()
    {
        uint table = _f.Page();
        Assert.Equal(0, _f.Pin(table, PageType.L1));
        Assert.Equal(-EINVAL, _f.Pin(table, PageType.L1));
        Assert.Equal(2u, _f.References(table));
        Assert.Equal(0, _f.Unpin(table));
        Assert.Equal(-EINVAL, _f.Unpin(table));
        Assert.Equal(1u, _f.References(table));
    }

    [Theory]
    [InlineData(PageType.L1)]
    [InlineData(PageType.L2)]
    [InlineData(PageType.L3)]
    public void APageMappedWritableCannotBePinned(PageType type)
    {
        var before = _f.Counts(_f.Pages[3]);
        Assert.Equal(-EINVAL, _f.Pin(_f.Pages[3], type));
        Assert.Equal(before, _f.Counts(_f.Pages[3]));
    }

    [Fact]
    public void APageTableCannotBeMappedWritableButReadOnly()
    {
        var before = _f.Counts(_f.L1);
        Assert.Equal(-EBUSY, _f.UpdateVa(0x3F000, Entry(_f.L1, P | W)));
        Assert.Equal(before, _f.Counts(_f.L1));
        Assert.Equal(0, _f.UpdateVa(0x3F000, Entry(_f.L1, P)));
        Assert.Equal(before.References + 1, _f.References(_f.L1));
        Assert.Equal(-EBUSY, _f.UpdateVa(0x3F000, Entry(_f.L1, P | W)));
    }

    [Fact]
    public void TablesOfAllLevelsInOnePageAreRefused()
    {
        Assert.Equal(-EINVAL, _f.Pin(_f.L1, PageType.L2));
        Assert.Equal(-EINVAL, _f.Pin(_f.L2, PageType.L1));
        Assert.Equal(-EINVAL, _f.Pin(_f.L3, PageType.L2));
    }

    [Fact]
    public void Xsa58AFailedPinRestoresTheCounts()
    {
        uint table = _f.Page(), good = _f.Page();
        _f.Table(table)[0] = Entry(good, P | W);
        _f.Table(table)[1] = Entry(_f.L1, P | W); // a page table, writable
        var before = (_f.Counts(good), _f.Counts(_f.L1), _f.Counts(table));
        Assert.Equal(-EBUSY, _f.Pin(table, PageType.L1));
        Assert.Equal(before, (_f.Counts(good), _f.Counts(_f.L1), _f.Counts(table)));

        uint directory = _f.Page(), second = _f.Page();
        _f.Table(second)[0] = Entry(good, P | W);
        _f.Table(directory)[0] = Entry(second, P);
        _f.Table(directory)[7] = Entry(table, P);
        Assert.Equal(-EBUSY, _f.Pin(directory, PageType.L2));
        Assert.Equal(before, (_f.Counts(good), _f.Counts(_f.L1), _f.Counts(table)));
        Assert.Equal((1u, 0ul), _f.Counts(second));
        Assert.Equal((1u, 0ul), _f.Counts(directory));
    }

    [Fact]
    public void Xsa58AFailedRootRestoresTheCounts()
    {
        uint root = _f.SecondRoot(out uint high);
        _f.Table(root)[1] = Entry(_f.L1, P); // an L1 is no L2
        var before = (_f.Counts(_f.L2), _f.Counts(_f.L1), _f.Counts(high));
        Assert.Equal(-EINVAL, _f.Pin(root, PageType.L3));
        Assert.Equal(before, (_f.Counts(_f.L2), _f.Counts(_f.L1), _f.Counts(high)));
        Assert.Equal((1u, 0ul), _f.Counts(root));
    }

    [Fact]
    public void Xsa185AnL3CannotLeadToItselfOrToAnL3()
    {
        uint root = _f.SecondRoot(out _);
        _f.Table(root)[1] = Entry(root, P);
        Assert.Equal(-EINVAL, _f.Pin(root, PageType.L3));
        _f.Table(root)[1] = Entry(_f.L3, P);
        Assert.Equal(-EINVAL, _f.Pin(root, PageType.L3));
        Assert.Equal(-EINVAL, _f.UpdateEntry(_f.L3, 1, Entry(_f.L3, P)));
        Assert.Equal(-EINVAL, _f.UpdateEntry(_f.L2, 9, Entry(_f.L3, P)));
        _f.Table(root)[1] = 0;
        Assert.Equal(0, _f.Pin(root, PageType.L3));
    }

    [Fact]
    public void Xsa240LinearTablesAreOneLevelAndReadOnly()
    {
        Assert.Equal(-EINVAL, _f.UpdateEntry(_f.L2, 100, Entry(_f.L2, P | W)));
        Assert.Equal(0, _f.UpdateEntry(_f.L2, 100, Entry(_f.L2, P)));

        uint a = _f.Page(), b = _f.Page(), c = _f.Page();
        Assert.Equal(0, _f.Pin(a, PageType.L2));
        Assert.Equal(0, _f.Pin(b, PageType.L2));
        Assert.Equal(0, _f.Pin(c, PageType.L2));
        Assert.Equal(0, _f.UpdateEntry(a, 1, Entry(b, P)));
        Assert.Equal(-EINVAL, _f.UpdateEntry(b, 1, Entry(c, P))); // b is led to, and so leads nowhere
        Assert.Equal(-EINVAL, _f.UpdateEntry(c, 1, Entry(a, P))); // a leads on, and so isn't led to
        Assert.Equal(0, _f.UpdateEntry(c, 1, Entry(b, P)));
        Assert.Equal(3u, _f.TypeCount(b));

        // A table that others lead to keeps its type after its own pin is gone, and gives everything up in the end.
        Assert.Equal(0, _f.Unpin(b));
        Assert.Equal(PageType.L2, _f.Memory.TypeOf(b));
        Assert.Equal(0, _f.UpdateEntry(a, 1, 0));
        Assert.Equal(0, _f.Unpin(c));
        Assert.Equal((1u, 0ul), _f.Counts(b));
        Assert.Equal(0, _f.Info(b).LinearCount);
        Assert.Equal(0, _f.Info(a).LinearCount);
    }

    [Fact]
    public void TheHypervisorsL2IsPrivateAndItsSlotsAreNotTheGuests()
    {
        Assert.Equal(-EPERM, _f.UpdateEntry(_f.L2High, PageTableEntry.FirstHypervisorL2Slot, Entry(_f.L1, P)));
        Assert.Equal(0, _f.UpdateEntry(_f.L2High, PageTableEntry.FirstHypervisorL2Slot - 1, Entry(_f.L1, P)));
        Assert.Equal(-EINVAL, _f.UpdateEntry(_f.L3, 3, 0));
        Assert.Equal(-EINVAL, _f.UpdateEntry(_f.L3, 4, 0));

        uint root = _f.SecondRoot(out uint high);
        _f.Table(root)[3] = Entry(_f.L2High, P);
        Assert.Equal(-EINVAL, _f.Pin(root, PageType.L3));
        Assert.Equal(1u, _f.TypeCount(_f.L2High));

        // What a guest wrote to the slots beforehand is gone before a linear mapping could show it as page-table entries.
        _f.Table(high)[500] = Entry(_f.L1, P | W);
        _f.Table(root)[3] = Entry(high, P);
        Assert.Equal(0, _f.Pin(root, PageType.L3));
        Assert.Equal(0ul, _f.Table(high)[500]);
    }

    [Fact]
    public void ARootWithoutSlot3IsRefused()
    {
        uint root = _f.SecondRoot(out _);
        _f.Table(root)[3] = 0;
        Assert.Equal(-EINVAL, _f.Pin(root, PageType.L3));
    }

    [Fact]
    public void ForeignAndAbsentFramesAreRefused()
    {
        using var other = new MemoryFixture(_f.Hypervisor);
        uint foreign = other.Page(), table = _f.Page();
        _f.Table(table)[0] = Entry(foreign, P);
        Assert.Equal(-EBUSY, _f.Pin(table, PageType.L1));
        Assert.Equal(-EINVAL, _f.Pin(foreign, PageType.L1));
        Assert.Equal(-EINVAL, _f.Pin(_f.Hypervisor.Machine.FrameCount, PageType.L1));
        Assert.Equal(-EINVAL, _f.Pin(uint.MaxValue, PageType.L1));
        Assert.Equal(-EINVAL, _f.Unpin(foreign));
        Assert.Equal(1u, _f.References(foreign));
        _f.Table(table)[0] = Entry(_f.Hypervisor.Machine.FrameCount, P);
        Assert.Equal(-EPERM, _f.Pin(table, PageType.L1));
        _f.Table(table)[0] = 0x000FFFFF_FFFFF000 | P;
        Assert.Equal(-EINVAL, _f.Pin(table, PageType.L1));
    }

    [Theory]
    [InlineData(1UL << 3)]
    [InlineData(1UL << 4)]
    [InlineData(1UL << 7)]
    [InlineData(1UL << 62)]
    public void FlagsThatADomainMayNotSetAreRefusedInL1(ulong flag)
    {
        Assert.Equal(-EINVAL, _f.UpdateVa(0x3F000, Entry(_f.Pages[1], P | flag)));
        Assert.Equal(0, _f.UpdateVa(0x3F000, Entry(_f.Pages[1], flag))); // absent: the guest's own
    }

    [Fact]
    public void LargePagesAreNotOffered()
    {
        Assert.Equal(-EINVAL, _f.UpdateEntry(_f.L2, 9, Entry(_f.Pages[0], P | 128)));
    }

    [Fact]
    public void AllTypesAreGivenUpWhenTheDomainEnds()
    {
        using var hypervisor = new Dbt.Xen.Hypervisor(64 << 20);
        var fixture = new MemoryFixture(hypervisor);
        uint table = fixture.Page();
        Assert.Equal(0, fixture.Pin(table, PageType.L2));
        Assert.Equal(0, fixture.UpdateEntry(fixture.L2, 100, Entry(fixture.L2, P)));
        Assert.Equal(0, fixture.UpdateEntry(fixture.L2, 101, Entry(table, P)));
        fixture.Domain.Dispose();
        for (uint mfn = 1; mfn < hypervisor.Machine.HighWater; mfn++)
        {
            Assert.Equal(0u, hypervisor.Frames[mfn].References);
            Assert.Equal(0ul, hypervisor.Frames[mfn].TypeInfo);
        }

        Assert.Equal(0u, fixture.Memory.PageCount);
    }
}
