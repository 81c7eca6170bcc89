using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Abi;
using Dbt.Xen.Builder;
using Dbt.Xen.Hvm;
using Dbt.Xen.Memory;

namespace Dbt.Tests.Xen.Hvm;

/// <summary>The memory operations of an auto-translated domain (public/memory.h).</summary>
public sealed class PhysmapTests : IDisposable
{
    private const int MemoryOp = 12;
    private const uint Decrease = 1, CurrentReservation = 3, Populate = 6, AddToPhysmap = 7, MemoryMap = 9, Exchange = 11, MaximumGpfn = 14,
        RemoveFromPhysmap = 15, Batch = 23;

    private const uint Self = Layout.DomidSelf, SharedInfo = 0, GrantTable = 1, GuestFrame = 2;
    private const uint Free = 0x90000, List = 0x20000;

    private readonly HvmFixture _f = new();

    private Physmap Physmap => _f.Domain.Hvm!.Physmap;

    public void Dispose() => _f.Dispose();

    [Fact]
    public void SharedInfoAppearsWhereItIsWantedAndNowhereElse()
    {
        uint pages = _f.Domain.Memory.PageCount;
        Assert.Equal(0, Add(SharedInfo, 0, 0x50));
        Assert.Equal(_f.Domain.SharedInfoMfn, Physmap[0x50]);
        Assert.Equal(pages - 1, _f.Domain.Memory.PageCount); // the page that was there has gone back
        Assert.Equal(0, Add(SharedInfo, 0, Free));
        Assert.Equal((_f.Domain.SharedInfoMfn, 0u), (Physmap[Free], Physmap[0x50]));
        Assert.Equal(0, Add(SharedInfo, 0, Free));
        Assert.Equal(_f.Domain.SharedInfoMfn, Physmap[Free]);
    }

    [Fact]
    public void ABlockOfPagesIsPopulatedWholeOrNotAtAll()
    {
        const int order = 4, count = 1 << order;
        DomainMemory memory = _f.Domain.Memory;
        uint pages = memory.PageCount;
        memory.MaxPages = pages + count - 1;
        Assert.False(memory.TryPopulate(Free, order));
        Assert.Equal((pages, 0u), (memory.PageCount, Physmap[Free]));
        memory.MaxPages++;
        Assert.True(memory.TryPopulate(Free, order));
        Assert.Equal(pages + count, memory.PageCount);
        Assert.All(Enumerable.Range(0, count), i => Assert.Equal(Physmap[Free] + (uint)i, Physmap[Free + (uint)i]));
        Assert.Equal(0u, Physmap[Free + count]);
    }

    [Fact]
    public void AMachineInPiecesIsPopulatedPageByPage()
    {
        using var hypervisor = new Hypervisor(64 << 20);
        var frames = new List<uint>();
        while (hypervisor.Machine.TryAllocate(out uint mfn))
        {
            frames.Add(mfn);
        }

        foreach (uint mfn in frames.Where((_, i) => i % 2 == 0))
        {
            hypervisor.Machine.Free(mfn);
        }

        Domain domain = hypervisor.CreateDomain("pieces", new EngineOptions { Kind = EngineKind.Interpreter });
        DomainBuilder.Build(domain, DomainBuilder.Prepare(new BuildRequest { Kernel = HvmFixture.Kernel([0xF4]), MemoryMiB = HvmFixture.MemoryMiB, Vcpus = 1 }));
        Assert.All(Enumerable.Range(0, 256), i => Assert.NotEqual(0u, domain.Hvm!.Physmap[(ulong)i]));
        Assert.NotEqual(domain.Hvm!.Physmap[0] + 1, domain.Hvm.Physmap[1]);
    }

    [Fact]
    public void GrantFramesAppearOneByOne()
    {
        Assert.Equal(0, Add(GrantTable, 1, Free));
        Assert.Equal(0, Add(GrantTable, 0, Free + 1));
        Assert.NotEqual(Physmap[Free], Physmap[Free + 1]);
        Assert.Equal(-Errno.EINVAL, Add(GrantTable, 64, Free + 2));
        Assert.Equal(-Errno.EINVAL, Add(GrantTable, 0x80000000, Free + 2));
    }

    [Fact]
    public void APageMovesWithItsContents()
    {
        _f.Put(0x60000, 0x12345678);
        Assert.Equal(0, Add(GuestFrame, 0x60, Free));
        Assert.Equal(0x12345678u, _f.Get(Free << 12));
        Assert.Equal(0u, Physmap[0x60]);
        Assert.Equal(-Errno.EINVAL, Add(GuestFrame, 0x60, Free + 1));
    }

    [Theory]
    [InlineData(3u, 0u, Free, -Errno.ENOSYS)]
    [InlineData(4u, 0u, Free, -Errno.ENOSYS)]
    [InlineData(5u, 0u, Free, -Errno.ENOSYS)]
    [InlineData(0u, 1u, Free, -Errno.EINVAL)]
    [InlineData(2u, 0xFFFFFFFFu, Free, -Errno.EINVAL)]
    [InlineData(0u, 0u, 0xFFFFFFFFu, -Errno.EINVAL)]
    public void WhatDoesNotExistIsRefused(uint space, uint index, uint gfn, int expected) => Assert.Equal(expected, Add(space, index, gfn));

    [Fact]
    public void OthersPhysmapsAreNotTheGuests()
    {
        Assert.Equal(-Errno.EPERM, _f.CallWith(MemoryOp, AddToPhysmap, 0, SharedInfo, 0, Free));
        Assert.Equal(-Errno.ESRCH, _f.CallWith(MemoryOp, AddToPhysmap, 77, SharedInfo, 0, Free));
        Assert.Equal(-Errno.EPERM, _f.CallWith(MemoryOp, RemoveFromPhysmap, 0, 0x50));
        Assert.Equal(-Errno.EFAULT, _f.Call(MemoryOp, AddToPhysmap, 0x8000000));
    }

    [Fact]
    public void ABatchTellsOfEachPage()
    {
        (uint indexes, uint frames, uint errors) = (List, List + 0x100, List + 0x200);
        _f.Put(indexes, 0);
        _f.Put(frames, Free);
        _f.Put(indexes + 4, 99);
        _f.Put(frames + 4, Free + 1);
        Assert.Equal(0, _f.CallWith(MemoryOp, Batch, Self | (GrantTable << 16), 2, indexes, frames, errors));
        Assert.Equal((0u, unchecked((uint)-Errno.EINVAL)), (_f.Get(errors), _f.Get(errors + 4)));
        Assert.NotEqual(0u, Physmap[Free]);
        Assert.Equal(-Errno.EPERM, _f.CallWith(MemoryOp, Batch, Self | (4 << 16), 2, indexes, frames, errors));
        Assert.Equal(-Errno.EFAULT, _f.CallWith(MemoryOp, Batch, Self | (GrantTable << 16), 2, 0xFFFFFFFC, frames, errors));
    }

    [Fact]
    public void ARemovedPageIsGoneOnce()
    {
        uint pages = _f.Domain.Memory.PageCount;
        Assert.Equal(0, _f.CallWith(MemoryOp, RemoveFromPhysmap, Self, 0x50));
        Assert.Equal((0u, pages), (Physmap[0x50], _f.Domain.Memory.PageCount));
        Assert.Equal(-Errno.ENOENT, _f.CallWith(MemoryOp, RemoveFromPhysmap, Self, 0x50));
        Assert.Equal(-Errno.EINVAL, _f.CallWith(MemoryOp, RemoveFromPhysmap, Self, 0xFFFFFFFF));
    }

    [Fact]
    public void BallooningTakesAndGivesPages()
    {
        uint pages = _f.Domain.Memory.PageCount;
        for (uint i = 0; i < 3; i++)
        {
            _f.Put(List + (i * 4), 0x50 + i);
        }

        _f.Put(0x51000, 1);
        Assert.Equal(3, _f.CallWith(MemoryOp, Decrease, List, 3, 0, 0, Self));
        Assert.Equal((pages - 3, 0u), (_f.Domain.Memory.PageCount, Physmap[0x51]));
        Assert.Equal((int)pages - 3, _f.CallWith(MemoryOp, CurrentReservation, Self));
        Assert.Equal(0, _f.CallWith(MemoryOp, Decrease, List, 3, 0, 0, Self));
        Assert.Equal(3, _f.CallWith(MemoryOp, Populate, List, 3, 0, 0, Self));
        Assert.Equal(pages, _f.Domain.Memory.PageCount);
        Assert.Equal(0u, _f.Get(0x51000));
        _f.Put(List, Physmap.Count);
        Assert.Equal(0, _f.CallWith(MemoryOp, Populate, List, 1, 0, 0, Self));
    }

    [Fact]
    public void SharedInfoCannotBeGivenBack()
    {
        Assert.Equal(0, Add(SharedInfo, 0, 0x50));
        _f.Put(List, 0x50);
        Assert.Equal(0, _f.CallWith(MemoryOp, Decrease, List, 1, 0, 0, Self));
        Assert.Equal(_f.Domain.SharedInfoMfn, Physmap[0x50]);
        Assert.Equal(0, _f.CallWith(MemoryOp, RemoveFromPhysmap, Self, 0x50));
        Assert.Equal(0, Add(SharedInfo, 0, 0x50));
    }

    [Fact]
    public void TheMemoryMapIsTheBuilders()
    {
        Assert.Equal(0, _f.CallWith(MemoryOp, MemoryMap, 10, List));
        Assert.Equal((uint)_f.Domain.Hvm!.MemoryMap.Count, _f.Get(HvmFixture.Arguments));
        Assert.Equal((0ul, (ulong)HvmFixture.MemoryMiB << 20, 1u), (_f.GetLong(List), _f.GetLong(List + 8), _f.Get(List + 16)));
        Assert.Equal(HvmLayout.AcpiAddress, _f.GetLong(List + 20));
        Assert.Equal((int)HvmLayout.ConsoleGfn, _f.CallWith(MemoryOp, MaximumGpfn, Self));
        Assert.Equal(-Errno.EOPNOTSUPP, _f.CallWith(MemoryOp, Exchange));
    }

    private int Add(uint space, uint index, uint gfn) => _f.CallWith(MemoryOp, AddToPhysmap, Self, space, index, gfn);
}
