using Dbt.Translator.Memory;
using Dbt.Xen.Memory;
using static Dbt.Tests.Xen.Memory.MemoryFixture;
using static Dbt.Xen.Abi.Errno;

namespace Dbt.Tests.Xen.Memory;

public sealed unsafe class MmuExtOpTests : IDisposable
{
    private readonly MemoryFixture _f = new();

    public void Dispose() => _f.Dispose();

    [Fact]
    public void ANewBasePointerTakesTheTypeAndDropsTheOldOnes()
    {
        uint root = _f.SecondRoot(out _);
        Assert.Equal(0, _f.Extended(5, root));
        Assert.Equal((2u, 1u), (_f.References(root), _f.TypeCount(root)));
        Assert.Equal(1u, _f.TypeCount(_f.L3)); // its pin
        Assert.Equal((root << 12) | (root >> 20), _f.Vcpu.State->Cr3);
        Assert.Equal(_f.Vcpu.AddressSpace!.Tlb.Root, _f.Vcpu.State->TlbRoot);

        Assert.Equal(0, _f.Extended(5, _f.L3));
        Assert.Equal((1u, 0ul), _f.Counts(root));
        Assert.Equal(0, _f.Extended(5, _f.L3));
        Assert.Equal(2u, _f.TypeCount(_f.L3));
    }

    [Fact]
    public void ABadBasePointerLeavesTheOldOne()
    {
        foreach (uint mfn in (uint[])[_f.L2, _f.Pages[0], 0, 0xFFFFFFFF, _f.Page()])
        {
            Assert.Equal(-EINVAL, _f.Extended(5, mfn));
        }

        Assert.Equal(_f.L3, _f.Vcpu.BaseMfn);
        Assert.Equal(2u, _f.TypeCount(_f.L3));
    }

    [Fact]
    public void TheBasePointerOutlivesItsPin()
    {
        Assert.Equal(0, _f.Unpin(_f.L3));
        Assert.Equal(PageType.L3, _f.Memory.TypeOf(_f.L3));
        Assert.True(_f.TryResolve(0x1000, MemoryAccess.Read, user: false, out _, out _));
        Assert.Equal(-EINVAL, _f.Unpin(_f.L3));
    }

    [Fact]
    public void ClearAndCopyNeedAWritableDestination()
    {
        *(uint*)_f.Table(_f.Pages[1]) = 77;
        Assert.Equal(0, _f.Extended(17, _f.Pages[2], _f.Pages[1]));
        Assert.Equal(77u, _f.Get<uint>(0x2000));
        Assert.Equal(0, _f.Extended(16, _f.Pages[2]));
        Assert.Equal(0u, _f.Get<uint>(0x2000));
        Assert.Equal(0, _f.Extended(17, _f.Pages[2], _f.L1)); // reading a page table is fine
        Assert.Equal(_f.Table(_f.L1)[0], _f.Get<ulong>(0x2000));
        Assert.Equal(-EINVAL, _f.Extended(16, _f.L1));
        Assert.Equal(-EINVAL, _f.Extended(17, _f.L1, _f.Pages[1]));
        Assert.Equal(-EINVAL, _f.Extended(17, _f.Pages[1], 0xFFFFFFF0));
        Assert.Equal(-EINVAL, _f.Extended(16, 0));
        Assert.Equal((2u, 1u), (_f.References(_f.Pages[2]), _f.TypeCount(_f.Pages[2])));
    }

    [Fact]
    public void FlushesAreAccepted()
    {
        foreach (uint command in (uint[])[6, 7, 10, 11])
        {
            Assert.Equal(0, _f.Extended(command, 0x1000));
        }

        Assert.Equal(0, _f.Extended(8, 0, 0x1000));
        Assert.Equal(0, _f.Extended(9, 0x1000, 0x1000));
        Assert.Equal(-EINVAL, _f.Extended(8, 0, 0x40000000));
        Assert.Equal(-EACCES, _f.Extended(12));
    }

    [Theory]
    [InlineData(3u, 0)]
    [InlineData(14u, ENOSYS)]
    [InlineData(15u, EINVAL)]
    [InlineData(19u, EOPNOTSUPP)]
    [InlineData(20u, EOPNOTSUPP)]
    [InlineData(21u, ENOSYS)]
    [InlineData(0xFFFFFFFFu, ENOSYS)]
    public void WhatAPaeGuestDoesNotHaveIsRefused(uint command, int error) => Assert.Equal(-error, _f.Extended(command, _f.L3));

    [Theory]
    [InlineData(0x1001u, 1u)]
    [InlineData(0x1000u, 8193u)]
    [InlineData(0xF5800000u, 1u)]
    public void ABadLdtIsRefused(uint linear, uint entries) => Assert.Equal(-EINVAL, _f.Extended(13, linear, entries));

    [Fact]
    public void AnLdtIsSetAndTakenAway()
    {
        Assert.Equal(0, _f.Extended(13, 0x1000, 8192));
        Assert.Equal(0, _f.Extended(13, 0xFFFFFFFF, 0));
    }

    [Fact]
    public void AnotherDomainIsRefused()
    {
        Assert.Equal(-EPERM, _f.Call(26, Arguments, 0, 0, 0));
        Assert.Equal(-ESRCH, _f.Call(26, Arguments, 0, 0, 99));
    }
}
