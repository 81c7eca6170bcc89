using Dbt.Tests.Xen.Memory;
using Dbt.Translator.Memory;
using Dbt.Xen;
using Dbt.Xen.Grants;
using Dbt.Xen.Memory;
using static Dbt.Tests.Xen.Memory.MemoryFixture;
using static Dbt.Xen.Abi.Errno;

namespace Dbt.Tests.Xen.Grants;

/// <summary>Two domains: <c>_a</c> grants, <c>_b</c> maps and copies.</summary>
public sealed unsafe partial class GrantTests : IDisposable
{
    private const uint Host = 2, Device = 1, ReadOnly = 4, ContainsPte = 16, Target = 0x3F000, Window = 0x3E000;
    private const uint Permit = 1, PermitReadOnly = 5, Reading = 8, Writing = 16, SubPage = 1 << 8;
    private readonly Hypervisor _hypervisor = new(256 << 20);
    private readonly MemoryFixture _a;
    private readonly MemoryFixture _b;

    public GrantTests()
    {
        _a = new MemoryFixture(_hypervisor);
        _b = new MemoryFixture(_hypervisor);

        // The first frame of _a's table is mapped at Window, as a guest does it.
        Setup(_a, 1);
        Assert.Equal(0, _a.UpdateVa(Window, Entry(_a.Get<uint>(0x2000), P | W)));
    }

    public void Dispose() => _hypervisor.Dispose();

    [Fact]
    public void AMappedGrantIsSharedMemory()
    {
        Grant(10, Permit, _b, _a.Pages[5]);
        var (status, handle) = Map(10, Host);
        Assert.Equal(0, status);
        Assert.Equal(Permit | Reading | Writing, Flags(10));
        Assert.Equal((3u, 2u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
        Assert.Equal(Entry(_a.Pages[5], P | W | A | D | Nx), _b.Table(_b.L1)[0x3F]);
        _b.Put(Target + 8, 0x55AA);
        Assert.Equal(0x55AA, _a.Get<int>(0x5008));
        Assert.Equal((ulong)_a.Pages[5] << 12, _b.Get<ulong>(Arguments + 24));

        Assert.Equal(0, Unmap(handle, Target));
        Assert.Equal(Permit, Flags(10));
        Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
        Assert.False(_b.TryResolve(Target, MemoryAccess.Read, user: false, out _, out _));
        Assert.Equal(-4, Unmap(handle, Target));
    }

    [Fact]
    public void AReadOnlyGrantCannotBeWritten()
    {
        Grant(10, PermitReadOnly, _b, _a.Pages[5]);
        Assert.Equal(-1, Map(10, Host).Status);
        Assert.Equal(PermitReadOnly, Flags(10));
        var (status, handle) = Map(10, Host | ReadOnly);
        Assert.Equal(0, status);
        Assert.Equal(PermitReadOnly | Reading, Flags(10));
        Assert.False(_b.TryResolve(Target, MemoryAccess.Write, user: false, out _, out _));
        Assert.Equal(0, Unmap(handle, Target));
        Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
    }

    [Fact]
    public void AReadOnlyMappingCanBeOfAPageTableAndAWritableCannot()
    {
        Grant(10, Permit, _b, _a.L1);
        Assert.Equal(-1, Map(10, Host).Status);
        Assert.Equal(Permit, Flags(10));
        var before = _a.Counts(_a.L1);
        var (status, handle) = Map(10, Host | ReadOnly);
        Assert.Equal(0, status);
        Assert.Equal(0, Unmap(handle, Target));
        Assert.Equal(before, _a.Counts(_a.L1));
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(2u)]
    [InlineData(3u)]
    [InlineData(Permit | SubPage)]
    public void OnlyFullPagePermissionsAreMapped(uint flags)
    {
        Grant(10, flags, _b, _a.Pages[5]);
        Assert.Equal(-1, Map(10, Host).Status);
        Assert.Equal(flags, Flags(10));
        Assert.Equal(2u, _a.References(_a.Pages[5]));
    }

    [Fact]
    public void GrantsAreForOneDomainAndOfOwnPages()
    {
        Grant(10, Permit, _a, _a.Pages[5]); // to itself
        Assert.Equal(-1, Map(10, Host).Status);
        Grant(10, Permit, _b, _b.Pages[5]); // somebody else's page
        Assert.Equal(-9, Map(10, Host).Status);
        Assert.Equal(Permit, Flags(10));
        Grant(10, Permit, _b, 0xFFFFFFFF);
        Assert.Equal(-9, Map(10, Host).Status);
        Grant(10, Permit, _b, _a.Get<uint>(0x2000)); // a frame of the grant table itself
        Assert.Equal(-1, Map(10, Host).Status);
        Assert.Equal(-3, Map(512, Host).Status);
        Assert.Equal(-3, Map(uint.MaxValue, Host).Status);
        Assert.Equal(-3, Map(10, 0).Status);
        Assert.Equal(-2, Map(10, Host, domain: 99).Status);
        Assert.Equal(-2, Map(10, Host, domain: 0).Status);
    }

    [Fact]
    public void MappingOverAPageGivesThatPageBackToItsCounts()
    {
        Grant(10, Permit, _b, _a.Pages[5]);
        var (_, handle) = Map(10, Host, 0x5000);
        Assert.Equal((1u, 0u), (_b.References(_b.Pages[5]), _b.TypeCount(_b.Pages[5])));
        Assert.Equal(0, Unmap(handle, 0x5000));
        Assert.Equal(0ul, _b.Table(_b.L1)[5]);
    }

    [Fact]
    public void AGrantEntryOverwrittenByThePageTableStaysCounted()
    {
        Grant(10, Permit, _b, _a.Pages[5]);
        var (_, handle) = Map(10, Host);
        Assert.Equal(-EBUSY, _b.UpdateVa(Target - 0x1000, Entry(_a.Pages[5], P))); // no copies of it
        Assert.Equal(0, _b.UpdateVa(Target, 0));
        Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
        Assert.Equal(-1, Unmap(handle, Target));
        Assert.Equal(Permit | Reading | Writing, Flags(10)); // as in Xen: the grant stays in use, the page does not

        // The same page granted again by another entry of the table maps and unmaps as ever.
        Grant(11, Permit, _b, _a.Pages[5]);
        var (_, other) = Map(11, Host);
        Assert.Equal(0, Unmap(other, Target));
        Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
    }

    [Fact]
    public void WhatIsInUseDoesNotFollowTheEntry()
    {
        Grant(10, Permit, _b, _a.Pages[5]);
        var (_, first) = Map(10, Host);
        Grant(10, Permit, _b, _a.Pages[6]);
        var (status, second) = Map(10, Host, Target - 0x1000);
        Assert.Equal(0, status);
        Assert.Equal(_a.Pages[5], (uint)PageTableEntry.Frame(_b.Table(_b.L1)[0x3E]));
        Assert.Equal(0, Unmap(second, Target - 0x1000));
        Assert.Equal(0, Unmap(first, Target));
        Assert.Equal((2u, 2u), (_a.References(_a.Pages[5]), _a.References(_a.Pages[6])));
    }

    [Fact]
    public void AGrantedPageGivenBackStaysUntilItIsUnmapped()
    {
        uint page = _a.Page();
        Grant(10, Permit, _b, page);
        var (_, handle) = Map(10, Host);
        Assert.True(_a.Memory.TryReleasePage(page));
        Assert.True(_a.Memory.Owns(page));
        _b.Put(Target, 5);
        Assert.Equal(0, Unmap(handle, Target));
        Assert.False(_a.Memory.Owns(page));
    }

    [Fact]
    public void UnmapAndReplaceMovesAnEntry()
    {
        Grant(10, Permit, _b, _a.Pages[5]);
        var (_, handle) = Map(10, Host);
        Assert.Equal(-1, Unmap(handle, Target, 0x40000000, command: 7));
        Assert.Equal(0, Unmap(handle, Target, 0x5000, command: 7));
        Assert.Equal(_b.Pages[5], (uint)PageTableEntry.Frame(_b.Table(_b.L1)[0x3F]));
        Assert.Equal(0ul, _b.Table(_b.L1)[5]);
        Assert.Equal((2u, 1u), (_b.References(_b.Pages[5]), _b.TypeCount(_b.Pages[5])));
        Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
        Assert.Equal(Permit, Flags(10));
    }

    [Fact]
    public void CopiesAreChecked()
    {
        Grant(10, PermitReadOnly, _b, _a.Pages[5]);
        Grant(11, Permit, _b, _a.Pages[6]);
        _a.Put(0x5100, 0x1122334455667788);

        // From a grant to an own page, and on to another grant.
        Assert.Equal(0, Copy(10, _a.Domain.Id, 0x100, _b.Pages[7], 0x7FF0, 0x20, 8, flags: 1));
        Assert.Equal(0x1122334455667788, _b.Get<long>(0x7020));
        Assert.Equal(0, Copy(10, _a.Domain.Id, 0x100, 11, _a.Domain.Id, 0x30, 8, flags: 3));
        Assert.Equal(0x1122334455667788, _a.Get<long>(0x6030));
        Assert.Equal(-1, Copy(_b.Pages[7], 0x7FF0, 0, 10, _a.Domain.Id, 0, 8, flags: 2)); // read-only
        Assert.Equal(-8, Copy(_a.Pages[5], _a.Domain.Id, 0, _b.Pages[7], 0x7FF0, 0, 8, flags: 0)); // another's frame
        Assert.Equal(-9, Copy(_a.Pages[5], 0x7FF0, 0, _b.Pages[7], 0x7FF0, 0, 8, flags: 0));
        Assert.Equal(-1, Copy(_b.Pages[7], 0x7FF0, 0, _b.L1, 0x7FF0, 0, 8, flags: 0)); // onto a page table
        Assert.Equal(-10, Copy(10, _a.Domain.Id, 4089, _b.Pages[7], 0x7FF0, 0, 8, flags: 1));
        Assert.Equal(-10, Copy(10, _a.Domain.Id, 0, _b.Pages[7], 0x7FF0, 4089, 8, flags: 1));
        Assert.Equal(-10, Copy(10, _a.Domain.Id, 1, _b.Pages[7], 0x7FF0, 0, 0xFFFF, flags: 1));
        Assert.Equal(0, Copy(10, _a.Domain.Id, 0, _b.Pages[7], 0x7FF0, 0, 4096, flags: 1));
        Assert.Equal(-2, Copy(10, 99, 0, _b.Pages[7], 0x7FF0, 0, 8, flags: 1));
        Assert.Equal(-3, Copy(9999, _a.Domain.Id, 0, _b.Pages[7], 0x7FF0, 0, 8, flags: 1));
        Assert.Equal((PermitReadOnly, Permit), (Flags(10), Flags(11)));
        Assert.Equal((2u, 2u, 2u), (_a.References(_a.Pages[5]), _a.References(_a.Pages[6]), _b.References(_b.Pages[7])));
        Assert.Equal((1u, 1u), (_a.TypeCount(_a.Pages[6]), _b.TypeCount(_b.Pages[7])));
    }

    [Fact]
    public void BackendsMapGrantsForDomain0()
    {
        Put(10, Permit, 0, _a.Pages[5]);
        GrantTable table = _a.Domain.Grants;
        Assert.True(table.TryMapForBackend(10, writable: true, out GrantedPage? first));
        Assert.True(table.TryMapForBackend(10, writable: false, out GrantedPage? second));
        Assert.Equal((nint)_hypervisor.Machine.Frame(_a.Pages[5]), (nint)first.Host);
        Assert.Equal(Permit | Reading | Writing, Flags(10));
        Assert.Equal(-1, Map(10, Host).Status);
        first.Dispose();
        first.Dispose();
        Assert.Equal(Permit | Reading, Flags(10));
        second.Dispose();
        Assert.Equal(Permit, Flags(10));
        Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));

        Grant(10, Permit, _b, _a.Pages[5]);
        Assert.False(table.TryMapForBackend(10, writable: true, out _));
        Assert.False(table.TryMapForBackend(512, writable: true, out _));
    }

    [Fact]
    public void BackendsHoldFramesWithoutAGrant()
    {
        uint page = _a.Page();
        Assert.True(_a.Domain.Grants.TryMapFrameForBackend(page, writable: true, out GrantedPage? held));
        Assert.Equal(-EINVAL, _a.Pin(page, PageType.L1));
        Assert.True(_a.Memory.TryReleasePage(page));
        Assert.True(_a.Memory.Owns(page));
        held.Dispose();
        Assert.False(_a.Memory.Owns(page));
        Assert.False(_a.Domain.Grants.TryMapFrameForBackend(_a.L1, writable: true, out _));
        Assert.False(_a.Domain.Grants.TryMapFrameForBackend(_b.Pages[0], writable: true, out _));
    }

    [Fact]
    public void ADyingMapperLetsGoOfEverything()
    {
        Grant(10, Permit, _b, _a.Pages[5]);
        Assert.Equal(0, Map(10, Host | Device).Status);
        _b.Domain.Dispose();
        Assert.Equal(Permit, Flags(10));
        Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
    }

    [Fact]
    public void ADyingGranterLeavesThePageToItsMapper()
    {
        Grant(10, Permit, _b, _a.Pages[5]);
        var (_, handle) = Map(10, Host);
        _a.Domain.Dispose();
        _b.Put(Target, 77);
        Assert.Equal(77, _b.Get<int>(Target));
        Assert.Equal(1u, _a.References(_a.Pages[5]));
        Assert.Equal(0, Unmap(handle, Target));
        Assert.Equal(0u, _hypervisor.Frames[_a.Pages[5]].References);
    }

    [Fact]
    public void WhatADyingGranterLeftIsNotTakenForItsTable()
    {
        Grant(10, Permit, _b, _a.Pages[5]);
        var (_, handle) = Map(10, Host);
        uint table = TableFrame;
        ushort id = _a.Domain.Id;
        _a.Domain.Dispose();
        Assert.Null(_hypervisor.Find(id));

        // The table's frame may be another's by now: here with what looks like a grant in use.
        ulong* words = (ulong*)_hypervisor.Machine.Frame(table);
        ulong mark = Permit | (0x3u << 3) | ((ulong)_b.Domain.Id << 16) | ((ulong)_b.Pages[1] << 32);
        words[10] = mark;
        Assert.Equal(0, Unmap(handle, Target));
        Assert.Equal(mark, words[10]);
        Assert.NotEqual(0, Map(10, Host, domain: id).Status);
        words[10] = 0;
    }

    [Fact]
    public void CodeInAForeignPageIsProtectedInBothDomains()
    {
        Grant(10, Permit, _b, _a.Pages[5]);
        Assert.Equal(0, Map(10, Host).Status);
        Assert.True(_b.TryResolve(Target, MemoryAccess.Write, user: false, out _, out _));
        Assert.True(_a.TryResolve(0x5000, MemoryAccess.Write, user: false, out _, out _));
        _hypervisor.Machine.CodeMap.Mark(_a.Pages[5], hasCode: true);
        _b.Memory.ProtectCode(_a.Pages[5]);
        Assert.False(_b.InTlb(Target, MemoryAccess.Write));
        Assert.False(_a.InTlb(0x5000, MemoryAccess.Write));
    }

    private static int SetupCall(MemoryFixture domain, uint count, uint list, ushort id)
    {
        domain.Put(Arguments, (uint)id);
        domain.Put(Arguments + 4, count);
        domain.Put(Arguments + 12, list);
        return domain.Call(20, 2, Arguments, 1);
    }

    private static void Setup(MemoryFixture domain, uint count, short status = 0)
    {
        Assert.Equal(0, SetupCall(domain, count, 0x2000, 0x7FF0));
        Assert.Equal(status, domain.Get<short>(Arguments + 8));
    }

    private void Grant(uint reference, uint flags, MemoryFixture to, uint mfn) => Put(reference, flags, to.Domain.Id, mfn);

    private void Put(uint reference, uint flags, ushort to, uint mfn)
    {
        _a.Put(Window + (reference * 8) + 4, mfn);
        _a.Put(Window + (reference * 8), flags | ((uint)to << 16));
    }

    private uint Flags(uint reference) => (ushort)((uint*)_hypervisor.Machine.Frame(TableFrame))[reference * 2];

    private uint TableFrame
    {
        get
        {
            Span<uint> frames = stackalloc uint[1];
            _ = _a.Domain.Grants.TrySetup(1, frames);
            return frames[0];
        }
    }

    private (short Status, uint Handle) Map(uint reference, uint flags, ulong address = Target, ushort? domain = null)
    {
        _b.Put(Arguments, address);
        _b.Put(Arguments + 8, flags);
        _b.Put(Arguments + 12, reference);
        _b.Put(Arguments + 16, (uint)(domain ?? _a.Domain.Id));
        Assert.Equal(0, _b.Call(20, 0, Arguments, 1));
        return (_b.Get<short>(Arguments + 18), _b.Get<uint>(Arguments + 20));
    }

    private short Unmap(uint handle, ulong address, ulong other = 0, uint command = 1)
    {
        _b.Put(Arguments, address);
        _b.Put(Arguments + 8, other);
        _b.Put(Arguments + 16, handle);
        Assert.Equal(0, _b.Call(20, command, Arguments, 1));
        return _b.Get<short>(Arguments + 20);
    }

    private short Copy(uint source, ushort sourceDomain, ushort sourceOffset, uint target, ushort targetDomain, ushort targetOffset, ushort length, ushort flags)
    {
        _b.Put(Arguments, source);
        _b.Put(Arguments + 4, sourceDomain | ((uint)sourceOffset << 16));
        _b.Put(Arguments + 8, target);
        _b.Put(Arguments + 12, targetDomain | ((uint)targetOffset << 16));
        _b.Put(Arguments + 16, length | ((uint)flags << 16));
        Assert.Equal(0, _b.Call(20, 5, Arguments, 1));
        return _b.Get<short>(Arguments + 20);
    }

    private short Swap(uint first, uint second)
    {
        _a.Put(Arguments, first);
        _a.Put(Arguments + 4, second);
        Assert.Equal(0, _a.Call(20, 11, Arguments, 1));
        return _a.Get<short>(Arguments + 8);
    }
}
