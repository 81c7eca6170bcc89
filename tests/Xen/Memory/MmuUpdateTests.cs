using Dbt.Translator.Memory;
using Dbt.Xen.Memory;
using static Dbt.Tests.Xen.Memory.MemoryFixture;
using static Dbt.Xen.Abi.Errno;

namespace Dbt.Tests.Xen.Memory;

public sealed unsafe class MmuUpdateTests : IDisposable
{
    private const int PreserveAd = 2, MachinePhys = 1;
    private readonly MemoryFixture _f = new();

    public void Dispose() => _f.Dispose();

    [Fact]
    public void AnEntryIsReplacedAndItsPageGivenUp()
    {
        uint page = _f.Page();
        Assert.Equal(0, _f.UpdateEntry(_f.L1, 5, Entry(page, P | W)));
        Assert.Equal((2u, 1u), (_f.References(page), _f.TypeCount(page)));
        Assert.Equal((1u, 0u), (_f.References(_f.Pages[5]), _f.TypeCount(_f.Pages[5])));
        Assert.Equal(0, _f.UpdateEntry(_f.L1, 5, 0));
        Assert.Equal((1u, 0u), (_f.References(page), _f.TypeCount(page)));
    }

    [Fact]
    public void PreservingKeepsAccessedAndDirty()
    {
        ulong address = ((ulong)_f.L1 << 12) + 40;
        Assert.Equal(0, _f.Update(address | PreserveAd, Entry(_f.Pages[5], P | W)));
        Assert.Equal(Entry(_f.Pages[5], P | W | A | D), _f.Table(_f.L1)[5]);
        Assert.Equal(0, _f.Update(address, Entry(_f.Pages[5], P | W)));
        Assert.Equal(Entry(_f.Pages[5], P | W), _f.Table(_f.L1)[5]);
    }

    [Fact]
    public void Xsa182ChangingAnythingButFreeFlagsIsChecked()
    {
        // User, no-execute, available, A, D and G change freely; R/W and the frame do not.
        Assert.Equal(0, _f.UpdateEntry(_f.L1, 5, Entry(_f.Pages[5], P | W | Nx | (7 << 9) | 256)));
        Assert.Equal((2u, 1u), (_f.References(_f.Pages[5]), _f.TypeCount(_f.Pages[5])));
        Assert.Equal(0, _f.UpdateVa(0x3F000, Entry(_f.L1, P)));
        Assert.Equal(-EBUSY, _f.UpdateVa(0x3F000, Entry(_f.L1, P | W)));
        Assert.Equal(0, _f.UpdateEntry(_f.L1, 5, Entry(_f.Pages[5], P)));
        Assert.Equal((2u, 0u), (_f.References(_f.Pages[5]), _f.TypeCount(_f.Pages[5])));

        // The same in an L2: a linear entry can't become writable through the fast path.
        Assert.Equal(0, _f.UpdateEntry(_f.L2, 100, Entry(_f.L2, P)));
        Assert.Equal(-EINVAL, _f.UpdateEntry(_f.L2, 100, Entry(_f.L2, P | W)));
        Assert.Equal(-EINVAL, _f.UpdateEntry(_f.L2, 0, Entry(_f.L1, P | W | 128)));
    }

    [Fact]
    public void APageThatIsNoTableIsWrittenPlainly()
    {
        Assert.Equal(0, _f.UpdateEntry(_f.Pages[9], 3, 0x1234567890ABCDEF));
        Assert.Equal(0x1234567890ABCDEFul, _f.Table(_f.Pages[9])[3]);
        Assert.Equal((2u, 1u), (_f.References(_f.Pages[9]), _f.TypeCount(_f.Pages[9])));
        uint untyped = _f.Page();
        Assert.Equal(0, _f.UpdateEntry(untyped, 3, 5));
        Assert.Equal((1u, 0u), (_f.References(untyped), _f.TypeCount(untyped)));
    }

    [Fact]
    public void ADescriptorPageIsNotWritten()
    {
        uint gdt = _f.Page();
        Assert.True(_f.Memory.TryGetPageAndType(gdt, PageType.Descriptor));
        Assert.Equal(-EINVAL, _f.UpdateEntry(gdt, 3, 0xFFFF_FFFF_FFFF_FFFF));
        _f.Memory.PutPageAndType(gdt);
        Assert.Equal(0, _f.UpdateEntry(gdt, 3, 1));
    }

    [Fact]
    public void AnEntryOfAnUpperTableValidatesWhatItLeadsTo()
    {
        uint table = _f.Page(), page = _f.Page();
        _f.Table(table)[1] = Entry(page, P | W);
        Assert.Equal(0, _f.UpdateEntry(_f.L2, 4, Entry(table, P | W | U)));
        Assert.Equal((PageType.L1, 1u), (_f.Memory.TypeOf(table), _f.TypeCount(page)));
        Assert.True(_f.TryResolve((4 << 21) + 0x1000, MemoryAccess.Write, user: false, out _, out _));
        Assert.Equal(0, _f.UpdateEntry(_f.L2, 4, 0));
        Assert.Equal((1u, 0ul), _f.Counts(table));
        Assert.Equal((1u, 0u), (_f.References(page), _f.TypeCount(page)));
        Assert.False(_f.TryResolve((4 << 21) + 0x1000, MemoryAccess.Read, user: false, out _, out _));
    }

    [Fact]
    public void MachineToPhysIsSetForOwnFramesOnly()
    {
        using var other = new MemoryFixture(_f.Hypervisor);
        Assert.Equal(0, _f.Update(((ulong)_f.Pages[2] << 12) | MachinePhys, 77));
        Assert.Equal(77u, _f.Hypervisor.MachineToPhys[_f.Pages[2]]);
        uint was = _f.Hypervisor.MachineToPhys[other.Pages[2]];
        Assert.Equal(-EINVAL, _f.Update(((ulong)other.Pages[2] << 12) | MachinePhys, 77));
        Assert.Equal(was, _f.Hypervisor.MachineToPhys[other.Pages[2]]);
        Assert.Equal(-EINVAL, _f.Update(0xFFFFFFFF_FFFFF000 | MachinePhys, 77));
    }

    [Theory]
    [InlineData(4)]
    [InlineData(7)]
    public void UnknownCommandsAreRefused(uint command)
    {
        Assert.Equal(-ENOSYS, _f.Update(((ulong)_f.L1 << 12) | command, 0));
    }

    [Fact]
    public void ForeignDomainsAreRefused()
    {
        using var other = new MemoryFixture(_f.Hypervisor);
        ulong address = (ulong)_f.L1 << 12;
        Assert.Equal(-EPERM, _f.Update(address, 0, other.Domain.Id));
        Assert.Equal(-EPERM, _f.Update(address, 0, 0x7FF0u | ((other.Domain.Id + 1u) << 16)));
        Assert.Equal(-ESRCH, _f.Update(address, 0, 0x7000));
        Assert.Equal(-ESRCH, _f.Update(address, 0, 0x7FF0u | (0x7000u << 16)));
        Assert.Equal(-EPERM, _f.Update(address, 0, 0x7FF2));
        Assert.Equal(0, _f.Update(address, _f.Table(_f.L1)[0], _f.Domain.Id | ((_f.Domain.Id + 1u) << 16)));

        // DOMID_IO: no domain here has I/O memory.
        Assert.Equal(-EPERM, _f.Update(address, Entry(_f.Hypervisor.Machine.FrameCount + 5, P), 0x7FF1));
        Assert.Equal(-EBUSY, _f.Update(address, Entry(_f.Pages[1], P | W), 0x7FF1));
        Assert.Equal(-EINVAL, _f.Update((ulong)other.L1 << 12, 0));
    }

    [Fact]
    public void TheCountDoneIsReportedAndAddedToWhereContinued()
    {
        for (uint i = 0; i < 4; i++)
        {
            _f.Put(Arguments + (i * 16), ((ulong)(i == 2 ? 0xFFFFFF : _f.L1) << 12) + 400);
            _f.Put(Arguments + (i * 16) + 8, 0ul);
        }

        Assert.Equal(-EINVAL, _f.Call(1, Arguments, 4, 0x2000, 0x7FF0));
        Assert.Equal(2u, _f.Get<uint>(0x2000));
        Assert.Equal(-EINVAL, _f.Call(1, Arguments, 4 | 0x80000000, 0x2000, 0x7FF0));
        Assert.Equal(4u, _f.Get<uint>(0x2000));
    }

    [Theory]
    [InlineData(0xF5800000u, 1u)]
    [InlineData(0xFFFFFFF8u, 1u)]
    [InlineData(0xF5700000u, 0x10001u)]
    [InlineData(0x1000u, 0x7FFFFFFFu)]
    public void ListsInTheHypervisorsRangeAreRefused(uint list, uint count)
    {
        Assert.Equal(-EFAULT, _f.Call(1, list, count, 0, 0x7FF0));
        Assert.Equal(-EFAULT, _f.Call(26, list, count, 0, 0x7FF0));
    }

    [Fact]
    public void AnUnmappedListOrCountIsHarmless()
    {
        Assert.Equal(-EFAULT, _f.Call(1, 0x40000000, 1, 0, 0x7FF0));
        Assert.Equal(0, _f.Call(1, 0x40000000, 0, 0x40000000, 0x7FF0));
        Assert.Equal(0, _f.Call(1, 0, 0, 0xFFFFFFFF, 0x7FF0));
    }

    [Fact]
    public void Xsa45AWaitingEventInterruptsTheListAfterOneRequest()
    {
        for (uint i = 0; i < 3; i++)
        {
            _f.Put(Arguments + (i * 16), ((ulong)_f.L1 << 12) + 3200 + (i * 8));
            _f.Put(Arguments + (i * 16) + 8, (ulong)(i + 1) << 1);
        }

        _f.Vcpu.State->Attention = 1;
        _f.Call(1, Arguments, 3, 0x2000, 0x7FF0);
        var next = Assert.NotNull(_f.Vcpu.Continuation);
        Assert.Equal((Arguments + 16, 2u | 0x80000000), (next.A1, next.A2));
        Assert.Equal((2ul, 0ul), (_f.Table(_f.L1)[400], _f.Table(_f.L1)[401]));

        _f.Vcpu.Continuation = null;
        _f.Vcpu.State->Attention = 0;
        Assert.Equal(0, _f.Call(1, next.A1, next.A2, next.A3, next.A4));
        Assert.Equal((4ul, 6ul), (_f.Table(_f.L1)[401], _f.Table(_f.L1)[402]));
        Assert.Equal(3u, _f.Get<uint>(0x2000));
    }

    [Fact]
    public void UpdateVaMappingNeedsATableAndAGuestAddress()
    {
        Assert.Equal(-EINVAL, _f.UpdateVa(0x40000000, 0));
        Assert.Equal(-EINVAL, _f.UpdateVa(0xF5800000, 0));
        Assert.Equal(-EINVAL, _f.UpdateVa(0xFFFFF000, 0));
        Assert.Equal(0, _f.UpdateVa(0x3F000, Entry(_f.Pages[0], P)));
        Assert.Equal(-EBUSY, _f.UpdateVa(0x3F000, Entry(0xFFFF, P)));

        // With a linear table in force, a range of "pages" is L1 tables: no L1 maps it.
        Assert.Equal(0, _f.UpdateEntry(_f.L2, 100, Entry(_f.L2, P)));
        Assert.Equal(-EINVAL, _f.UpdateVa(100 << 21, 0));
    }

    [Fact]
    public void UpdateVaMappingChecksItsFlagsAndDomain()
    {
        const uint Flush = 1, All = 4;
        Assert.Equal(0, _f.UpdateVa(0x3F000, 0, Flush));
        Assert.Equal(0, _f.UpdateVa(0x3F000, 0, Flush | All));
        Assert.Equal(0, _f.UpdateVa(0x3F000, 0, Flush | 0x1000));
        Assert.Equal(-EFAULT, _f.UpdateVa(0x3F000, 0, Flush | 0x40000000));
        Assert.Equal(0, _f.Call(22, 0x3F000, 0, 0, 0, 0x7FF0));
        Assert.Equal(-ESRCH, _f.Call(22, 0x3F000, 0, 0, 0, 0x7000));
        Assert.Equal(-EPERM, _f.Call(22, 0x3F000, 0, 0, 0, 0));
        Assert.Equal(-EBUSY, _f.Call(22, 0x3F000, (_f.Pages[0] << 12) | 1, 0, 0, 0x7FF1));
    }
}
