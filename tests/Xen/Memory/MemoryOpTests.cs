using Dbt.Xen.Abi;
using Dbt.Xen.Memory;
using static Dbt.Tests.Xen.Memory.MemoryFixture;
using static Dbt.Xen.Abi.Errno;

namespace Dbt.Tests.Xen.Memory;

public sealed unsafe class MemoryOpTests : IDisposable
{
    private const uint List = 0x3000, OutList = 0x4000;
    private const uint Increase = 0, Decrease = 1, Populate = 6, Exchange = 11;
    private readonly MemoryFixture _f = new();

    public void Dispose() => _f.Dispose();

    [Fact]
    public void PagesComeAndGo()
    {
        uint before = _f.Memory.PageCount;
        _f.Put(List, 500u);
        _f.Put(List + 4, 501u);
        Assert.Equal(2, Reserve(Populate, 2));
        uint first = _f.Get<uint>(List), second = _f.Get<uint>(List + 4);
        Assert.Equal(before + 2, _f.Memory.PageCount);
        Assert.True(_f.Memory.Owns(first));
        Assert.Equal((500u, 501u), (_f.Hypervisor.MachineToPhys[first], _f.Hypervisor.MachineToPhys[second]));
        Assert.Equal((int)before + 2, _f.Call(12, 3, Self()));

        Assert.Equal(2, Reserve(Decrease, 2));
        Assert.Equal(before, _f.Memory.PageCount);
        Assert.False(_f.Memory.Owns(first));
        Assert.Equal(uint.MaxValue, _f.Hypervisor.MachineToPhys[first]);
        Assert.Equal(0, Reserve(Decrease, 1)); // given back already
    }

    [Fact]
    public void AFreedPageIsWiped()
    {
        uint page = _f.Page();
        *(uint*)_f.Table(page) = 77;
        _f.Put(List, page);
        Assert.Equal(1, Reserve(Decrease, 1));
        Assert.Equal(0u, *(uint*)_f.Table(page));
    }

    [Fact]
    public void AReservationIsLimited()
    {
        _f.Memory.MaxPages = _f.Memory.PageCount + 3;
        Assert.Equal((int)_f.Memory.MaxPages, _f.Call(12, 4, Self()));
        Assert.Equal(3, Reserve(Increase, 5));
        Assert.Equal(_f.Memory.MaxPages, _f.Memory.PageCount);
        Assert.Equal(0, Reserve(Increase, 1, order: 1));
    }

    [Fact]
    public void Xsa31ExtentOrdersAreBounded()
    {
        foreach (uint order in (uint[])[10, 31, 32, 33, 63, 64, 0x80000000, 0xFFFFFFFF])
        {
            Assert.Equal(0, Reserve(Increase, 1, order));
            Assert.Equal(0, Reserve(Decrease, 1, order));
            Assert.Equal(0, Reserve(Populate, 1, order));
            Assert.Equal(-EPERM, DoExchange(1, order, 1, 0));
            Assert.Equal(-EPERM, DoExchange(1, 0, 1, order));
        }

        Assert.Equal(1, Reserve(Increase, 1, order: 9));
        uint mfn = _f.Get<uint>(List);
        Assert.Equal(0u, mfn & 511);
        Assert.Equal(1, Reserve(Decrease, 1, order: 9));
        Assert.False(_f.Memory.Owns(mfn + 511));
    }

    [Fact]
    public void BadListsGiveTheCountDone()
    {
        Assert.Equal(0, Reserve(Increase, 1, list: 0xF5800000));
        Assert.Equal(0, Reserve(Decrease, 1, list: 0x40000000));
        Assert.Equal(0, Reserve(Decrease, 0x03FFFFFF, list: 0x1000));
        Assert.Equal(0, Reserve(Populate, 0xFFFFFFFF));
        Assert.Equal(0, _f.Call(12, Increase, 0x40000000));
        Assert.Equal(5, _f.Call(12, Increase | (5 << 6), 0x40000000));
        Assert.Equal(0, Reserve(Increase, 1, domain: 99));
        Assert.Equal(0, Reserve(Increase, 1, domain: 0));
        Assert.Equal(0, Reserve(Increase, 0));
    }

    [Fact]
    public void AddressWidthIsHonoured()
    {
        Assert.Equal(1, Reserve(Increase, 1, flags: 40));
        Assert.Equal(0, Reserve(Increase, 1, flags: 12));
        Assert.Equal(0, Reserve(Increase, 1, flags: 13)); // frames 0 and 1 are long gone
        Assert.Equal(1, Reserve(Increase, 1, flags: 28));
        Assert.True(_f.Get<uint>(List) < 1u << 16);
    }

    [Fact]
    public void Xsa214AGivenBackPageKeepsItsTypeUntilItsLastUserIsGone()
    {
        // Mapped writable: it stays the domain's, and typed, until it is unmapped; nobody else can get it.
        _f.Put(List, _f.Pages[9]);
        uint before = _f.Memory.PageCount;
        Assert.Equal(1, Reserve(Decrease, 1));
        Assert.True(_f.Memory.Owns(_f.Pages[9]));
        Assert.Equal(before, _f.Memory.PageCount);
        Assert.Equal(0, Reserve(Decrease, 1));
        Assert.Equal(0, _f.UpdateVa(0x9000, 0));
        Assert.False(_f.Memory.Owns(_f.Pages[9]));
        Assert.Equal((0u, 0ul), (_f.Info(_f.Pages[9]).References, _f.Info(_f.Pages[9]).TypeInfo));
        Assert.Equal(before - 1, _f.Memory.PageCount);

        // Pinned: likewise.
        uint table = _f.Page();
        Assert.Equal(0, _f.Pin(table, PageType.L1));
        _f.Put(List, table);
        Assert.Equal(1, Reserve(Decrease, 1));
        Assert.Equal(PageType.L1, _f.Memory.TypeOf(table));
        Assert.Equal(0, _f.Unpin(table));
        Assert.Equal((0u, 0ul), (_f.Info(table).References, _f.Info(table).TypeInfo));
        Assert.Equal(PageType.None, _f.Memory.TypeOf(table));
    }

    [Fact]
    public void Xsa252APageInUseIsNotExchanged()
    {
        uint pinned = _f.Page();
        Assert.Equal(0, _f.Pin(pinned, PageType.L1));
        foreach (uint mfn in (uint[])[_f.Pages[9], _f.L1, pinned, 0, 0xFFFFFFFF])
        {
            _f.Put(List, mfn);
            Assert.Equal(-EINVAL, DoExchange(1, 0, 1, 0));
            Assert.Equal(0u, Done());
        }

        Assert.Equal(2u, _f.References(_f.Pages[9]));
    }

    [Fact]
    public void TheHypervisorsPagesCannotBeGivenBackStolenOrTyped()
    {
        Assert.True(_f.Memory.TryAllocateHypervisorPage(out uint shared, guestWritable: true));
        Assert.True(_f.Memory.TryAllocateHypervisorPage(out uint hidden, guestWritable: false));
        foreach (uint mfn in (uint[])[shared, hidden])
        {
            _f.Put(List, mfn);
            Assert.Equal(0, Reserve(Decrease, 1));
            Assert.Equal(-EINVAL, DoExchange(1, 0, 1, 0));
            Assert.Equal(-EINVAL, _f.Pin(mfn, PageType.L1));
            Assert.Equal(0, _f.UpdateVa(0x3F000, Entry(mfn, P)));
        }

        Assert.Equal(0, _f.UpdateVa(0x3F000, Entry(shared, P | W)));
        Assert.True(_f.TryResolve(0x3F000, Dbt.Translator.Memory.MemoryAccess.Write, false, out _, out _));
        Assert.Equal(-EBUSY, _f.UpdateVa(0x3F000, Entry(hidden, P | W)));
        Assert.Equal(0, _f.UpdateVa(0x3F000, 0));
        Assert.Equal((1u, 1u), (_f.References(shared), _f.TypeCount(shared)));
    }

    [Fact]
    public void AnExchangeGivesContiguousPagesForSingleOnes()
    {
        uint before = _f.Memory.PageCount;
        var given = new uint[8];
        for (uint i = 0; i < 8; i++)
        {
            given[i] = _f.Page();
            _f.Put(List + (i * 4), given[i]);
        }

        _f.Put(OutList, 900u);
        Assert.Equal(0, DoExchange(8, 0, 1, 3));
        Assert.Equal(8u, Done());
        uint block = _f.Get<uint>(OutList);
        Assert.Equal(0u, block & 7);
        for (uint i = 0; i < 8; i++)
        {
            Assert.Equal(900 + i, _f.Hypervisor.MachineToPhys[block + i]);
            Assert.True(_f.Memory.Owns(block + i));
        }

        Assert.Equal(before + 8, _f.Memory.PageCount);

        // And back again.
        _f.Put(List, block);
        Assert.Equal(0, DoExchange(1, 3, 8, 0));
        Assert.Equal(before + 8, _f.Memory.PageCount);
    }

    [Fact]
    public void AnExchangeThatFailsGivesItsPagesBack()
    {
        uint a = _f.Page(), b = _f.Page();
        *(uint*)_f.Table(a) = 55;
        _f.Hypervisor.MachineToPhys[a] = 1;
        _f.Put(List, a);
        _f.Put(List + 4, b);
        _f.Put(List + 8, _f.L1);
        _f.Put(List + 12, b);
        Assert.Equal(-EINVAL, DoExchange(4, 0, 1, 2));
        Assert.Equal(0u, Done());
        Assert.Equal((1u, 1u), (_f.References(a), _f.References(b)));
        Assert.Equal((55u, 1u), (*(uint*)_f.Table(a), _f.Hypervisor.MachineToPhys[a]));

        // A machine without such a block: the same.
        _f.Put(List + 8, _f.Page());
        _f.Put(List + 12, _f.Page());
        Assert.Equal(-ENOMEM, DoExchange(4, 0, 1, 2, flags: 14));
        Assert.Equal(1u, _f.References(a));

        // Twice the same page.
        _f.Put(List + 8, a);
        Assert.Equal(-EINVAL, DoExchange(4, 0, 1, 2));
        Assert.Equal(1u, _f.References(a));
    }

    [Fact]
    public void Xsa212EveryPointerOfAnExchangeIsRangeChecked()
    {
        _f.Put(List, _f.Page());
        foreach (uint bad in (uint[])[0xF5800000, 0xFFFFFFFC, 0xF57FFFFE])
        {
            Assert.Equal(-EFAULT, DoExchange(1, 0, 1, 0, inList: bad));
            Assert.Equal(-EFAULT, DoExchange(1, 0, 1, 0, outList: bad));
        }

        // The part that is done already counts in the range, too.
        Assert.Equal(-EFAULT, DoExchange(0x40000000, 0, 0x40000000, 0, done: 0x3FFFFFFF));
        Assert.Equal(-EFAULT, DoExchange(1, 0, 1, 0, inList: 0x40000000));
        Assert.Equal(0u, Done());
    }

    [Fact]
    public void Xsa29ExchangesThatDoNotAddUpAreRefused()
    {
        _f.Put(List, _f.Page());
        Assert.Equal(-EINVAL, DoExchange(1, 0, 2, 0));
        Assert.Equal(-EINVAL, DoExchange(1, 0, 1, 1));
        Assert.Equal(-EINVAL, DoExchange(1, 0, 1, 0, done: 2));
        Assert.Equal(-EINVAL, DoExchange(0xFFFFFFFF, 9, 0xFFFFFFFF, 9));
        Assert.Equal(-EFAULT, _f.Call(12, Exchange, 0x40000000));
        Assert.Equal(-EINVAL, _f.Call(12, Exchange | (1 << 6), Arguments));
        Assert.Equal(0, DoExchange(0, 0, 0, 0));
    }

    [Fact]
    public void AnOutputListThatCannotBeWrittenLosesNoPages()
    {
        uint before = _f.Memory.PageCount;
        _f.Put(List, _f.Page());
        Assert.Equal(-EFAULT, DoExchange(1, 0, 1, 0, outList: 0x40000000));
        Assert.Equal(1u, Done());
        Assert.Equal(before + 1, _f.Memory.PageCount);
    }

    [Fact]
    public void Xsa45ALongReservationIsInterrupted()
    {
        _f.Vcpu.State->Attention = 1;
        Reserve(Increase, 10);
        var next = Assert.NotNull(_f.Vcpu.Continuation);
        Assert.Equal(Increase | (1 << 6), next.A1);
        _f.Vcpu.Continuation = null;
        _f.Vcpu.State->Attention = 0;
        Assert.Equal(10, _f.Call(12, next.A1, next.A2));
    }

    [Fact]
    public void MapsAndLimitsAreTold()
    {
        Assert.Equal((int)_f.Hypervisor.Machine.FrameCount, _f.Call(12, 2, 0));
        Assert.Equal(0, _f.Call(12, 12, 0x2000));
        Assert.Equal((Layout.HypervisorStart, Layout.MachineToPhysEnd), (_f.Get<uint>(0x2000), _f.Get<uint>(0x2004)));
        Assert.Equal((1u << 22) - 1, _f.Get<uint>(0x2008));
        Assert.Equal(-EFAULT, _f.Call(12, 12, 0x40000000));

        _f.Put(0x2000, 5u);
        _f.Put(0x2004, List);
        Assert.Equal(0, _f.Call(12, 9, 0x2000));
        Assert.Equal(1u, _f.Get<uint>(0x2000));
        Assert.Equal((0ul, (ulong)_f.Memory.MaxPages << 12, 1u), (_f.Get<ulong>(List), _f.Get<ulong>(List + 8), _f.Get<uint>(List + 16)));
        _f.Put(0x2000, 0u);
        Assert.Equal(0, _f.Call(12, 9, 0x2000));
        Assert.Equal(0u, _f.Get<uint>(0x2000));
        _f.Put(0x2000, 1u);
        _f.Put(0x2004, 0xFFFFFFF0);
        Assert.Equal(-EFAULT, _f.Call(12, 9, 0x2000));

        // 256 MiB have 256 KiB of it: one extent, beyond the memory.
        _f.Put(0x2000, 8u);
        _f.Put(0x2004, List);
        Assert.Equal(0, _f.Call(12, 5, 0x2000));
        Assert.Equal(1u, _f.Get<uint>(0x2008));
        Assert.Equal(-EPERM, _f.UpdateVa(0x3F000, Entry(_f.Get<uint>(List), P)));
        _f.Put(0x2004, 0x40000000u);
        Assert.Equal(-EFAULT, _f.Call(12, 5, 0x2000));
    }

    [Theory]
    [InlineData(7u, EACCES)]
    [InlineData(15u, EACCES)]
    [InlineData(23u, EACCES)]
    [InlineData(13u, EPERM)]
    [InlineData(10u, EPERM)]
    [InlineData(16u, ENOSYS)]
    [InlineData(63u, ENOSYS)]
    public void WhatIsNotAParavirtualDomainsIsRefused(uint command, int error)
    {
        _f.Put(0x2000, 0x7FF0u);
        Assert.Equal(-error, _f.Call(12, command, 0x2000));
    }

    private uint Self()
    {
        _f.Put(0x2000, (ushort)0x7FF0);
        return 0x2000;
    }

    private int Reserve(uint command, uint count, uint order = 0, uint list = List, uint flags = 0, uint domain = 0x7FF0)
    {
        PutReservation(Arguments, list, count, order, flags, domain);
        return _f.Call(12, command, Arguments);
    }

    private void PutReservation(uint at, uint list, uint count, uint order, uint flags, uint domain)
    {
        uint[] words = [list, count, order, flags, domain];
        for (uint i = 0; i < 5; i++)
        {
            _f.Put(at + (i * 4), words[i]);
        }
    }

    private int DoExchange(
        uint inCount, uint inOrder, uint outCount, uint outOrder, uint inList = List, uint outList = OutList, uint done = 0, uint flags = 0)
    {
        PutReservation(Arguments, inList, inCount, inOrder, 0, 0x7FF0);
        PutReservation(Arguments + 20, outList, outCount, outOrder, flags, 0x7FF0);
        _f.Put(Arguments + 40, done);
        return _f.Call(12, Exchange, Arguments);
    }

    private uint Done() => _f.Get<uint>(Arguments + 40);
}
