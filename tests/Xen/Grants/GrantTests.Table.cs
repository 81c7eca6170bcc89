using static Dbt.Tests.Xen.Memory.MemoryFixture;
using static Dbt.Xen.Abi.Errno;

namespace Dbt.Tests.Xen.Grants;

// The table itself: its growth, its version, its entries, and calls as such.
public sealed unsafe partial class GrantTests
{
    [Fact]
    public void TheTableGrowsToItsLimit()
    {
        Setup(_a, 64);
        Assert.NotEqual(_a.Get<uint>(0x2000), _a.Get<uint>(0x2004));
        Setup(_a, 65, status: -1);
        Setup(_a, 0);
        Assert.Equal(-EFAULT, SetupCall(_a, 1, 0xF5800000, 0x7FF0));
        Assert.Equal(-EFAULT, SetupCall(_a, 0x40000000, 0x2000, 0x7FF0));
        Assert.Equal(0, SetupCall(_a, 1, 0x40000000, 0x7FF0));
        Assert.Equal(-5, _a.Get<short>(Arguments + 8));
        Assert.Equal(0, SetupCall(_a, 1, 0x2000, _b.Domain.Id));
        Assert.Equal(-8, _a.Get<short>(Arguments + 8));
        Assert.Equal(0, SetupCall(_a, 1, 0x2000, 99));
        Assert.Equal(-2, _a.Get<short>(Arguments + 8));

        _a.Put(Arguments, 0x7FF0u);
        Assert.Equal(0, _a.Call(20, 6, Arguments, 1));
        Assert.Equal((64u, 64u, (short)0), (_a.Get<uint>(Arguments + 4), _a.Get<uint>(Arguments + 8), _a.Get<short>(Arguments + 12)));
        Assert.Equal(-EINVAL, _a.Call(20, 6, Arguments, 2));
    }

    [Fact]
    public void EntriesAreSwappedWhileUnused()
    {
        Grant(10, Permit, _b, _a.Pages[5]);
        Grant(11, 0, _b, 7);
        Assert.Equal(0, Swap(10, 11));
        Assert.Equal((0u, Permit), (Flags(10), Flags(11)));
        var (_, handle) = Map(11, Host);
        Assert.Equal(-12, Swap(10, 11));
        Assert.Equal(-3, Swap(10, 512));
        Assert.Equal(-3, Swap(uint.MaxValue, 10));
        Assert.Equal(0, Unmap(handle, Target));
        Assert.Equal(0, Swap(11, 11));
    }

    [Fact]
    public void TransfersAreRefusedAndThePageStays()
    {
        _a.Put(Arguments, (ulong)_a.Pages[5] | ((ulong)_b.Domain.Id << 32));
        Assert.Equal(0, _a.Call(20, 4, Arguments, 1));
        Assert.Equal(-9, _a.Get<short>(Arguments + 12));
        Assert.True(_a.Memory.Owns(_a.Pages[5]));
    }

    [Fact]
    public void BadCallsAreRefused()
    {
        foreach (uint command in (uint[])[0, 1, 4, 5, 7, 11])
        {
            Assert.Equal(-EFAULT, _a.Call(20, command, 0xF5800000, 1));
            Assert.Equal(-EFAULT, _a.Call(20, command, 0x40000000, 1));
            Assert.Equal(-EFAULT, _a.Call(20, command, Arguments, 0x7FFFFFFF));
            Assert.Equal(-EINVAL, _a.Call(20, command, Arguments, 0x80000000));
            Assert.Equal(0, _a.Call(20, command, Arguments, 0));
        }

        Assert.Equal(-ENOSYS, _a.Call(20, 3, Arguments, 1));
        Assert.Equal(-ENOSYS, _a.Call(20, 13, Arguments, 1));
        Assert.Equal(-ENOSYS, _a.Call(20, 0xFFFFFFFF, Arguments, 1));
    }

    [Fact]
    public void ALongListIsInterrupted()
    {
        new Span<byte>(_b.Table(_b.Pages[0x10]), 4096).Clear();
        _b.Vcpu.State->Attention = 1;
        _b.Call(20, 1, Arguments, 3);
        var next = Assert.NotNull(_b.Vcpu.Continuation);
        Assert.Equal((Arguments + 24, 2u), (next.A2, next.A3));
        _b.Vcpu.Continuation = null;
    }
}
