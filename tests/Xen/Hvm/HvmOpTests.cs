using Dbt.Xen.Abi;
using Dbt.Xen.Hvm;

namespace Dbt.Tests.Xen.Hvm;

/// <summary>Parameters and upcall vectors (public/hvm/hvm_op.h, params.h).</summary>
public sealed class HvmOpTests : IDisposable
{
    private const int HvmOp = 34, XenVersion = 17, VmAssist = 21;
    private const uint Set = 0, Get = 1, SetUpcallVector = 23, Self = Layout.DomidSelf;

    private readonly HvmFixture _f = new(vcpus: 2);

    public void Dispose() => _f.Dispose();

    [Theory]
    [InlineData(HvmParameters.StorePfn, HvmLayout.StoreGfn)]
    [InlineData(HvmParameters.ConsolePfn, HvmLayout.ConsoleGfn)]
    public void TheRingsAreFoundByTheirParameters(uint parameter, uint expected)
    {
        Assert.Equal(0, _f.CallWith(HvmOp, Get, Self, parameter, 0xAAAAAAAA, 0xAAAAAAAA));
        Assert.Equal(expected, _f.GetLong(HvmFixture.Arguments + 8));
    }

    [Theory]
    [InlineData(Set, Self, HvmParameters.StorePfn, -Errno.EPERM)]
    [InlineData(Get, Self, 9u, -Errno.EPERM)]
    [InlineData(Get, Self, HvmParameters.Count, -Errno.EINVAL)]
    [InlineData(Get, 0u, HvmParameters.StorePfn, -Errno.EPERM)]
    [InlineData(Get, 99u, HvmParameters.StorePfn, -Errno.ESRCH)]
    [InlineData(2u, Self, 0u, -Errno.ENOSYS)]
    public void WhatIsNotTheGuestsIsRefused(uint command, uint domain, uint parameter, int expected) =>
        Assert.Equal(expected, _f.CallWith(HvmOp, command, domain, parameter, 0, 0));

    [Theory]
    [InlineData(0x02000000u, 0xF3u, 0xF3)]
    [InlineData(0x00000000u, 0x01u, 0)]
    [InlineData(0x01000000u, 0xF3u, 0)]
    public void TheCallbackIsAVectorWhereItsTypeSaysSo(uint high, uint low, int vector)
    {
        Assert.Equal(0, _f.CallWith(HvmOp, Set, Self, HvmParameters.CallbackIrq, low, high));
        Assert.Equal(vector, _f.Domain.Hvm!.Parameters.CallbackVector);
    }

    [Fact]
    public void AnUpcallGoesThroughTheApicWhereAVectorWasSet()
    {
        Assert.Equal(0, _f.CallWith(HvmOp, SetUpcallVector, 1, 0xF3));
        LocalApic apic = _f.Domain.Vcpus[1].Hvm!.Apic;
        apic.Write(0xF0, 0x1FF);
        Assert.Equal(0xF3, apic.Acknowledge());
        apic.Write(0xB0, 0);
        Dbt.Xen.Events.EventAbi.MarkPending(_f.Domain.Vcpus[1]);
        Assert.Equal(0xF3, apic.Acknowledge());
        Assert.Equal(-Errno.EINVAL, _f.CallWith(HvmOp, SetUpcallVector, 1, 15));
        Assert.Equal(-Errno.ENOENT, _f.CallWith(HvmOp, SetUpcallVector, 2, 0xF3));
    }

    [Fact]
    public void TheGuestIsToldThatItIsTranslated()
    {
        Assert.Equal(0, _f.CallWith(XenVersion, 6, 0, 0));
        Assert.Equal((1u << 0) | (1 << 2) | (1 << 8) | (1 << 9) | (1 << 13) | (1 << 16), _f.Get(HvmFixture.Arguments + 4));
        Assert.Equal(-Errno.EINVAL, _f.Call(VmAssist, 0, 2));
        Assert.Equal(0, _f.Call(VmAssist, 0, 5));
    }

    [Fact]
    public void ProcessorsAreStartedByTheApicAlone()
    {
        Assert.Equal(-Errno.EOPNOTSUPP, _f.Call(24, 0, 1, HvmFixture.Arguments));
        Assert.Equal(-Errno.EINVAL, _f.Call(24, 1, 1));
        Assert.Equal(0, _f.Call(24, 3, 1));
    }

    [Fact]
    public void TheVcpuInfoIsPlacedByGuestFrame()
    {
        const uint gfn = 0x70;
        _f.Put(HvmFixture.Arguments, gfn);
        _f.Put(HvmFixture.Arguments + 4, 0);
        _f.Put(HvmFixture.Arguments + 8, 0x80);
        Assert.Equal(0, _f.Call(24, 10, 1, HvmFixture.Arguments));
        Assert.Equal(1, _f.At((gfn << 12) + 0x80)[SharedInfoLayout.UpcallPending]);
        _f.Put(HvmFixture.Arguments, 0x90000);
        Assert.Equal(-Errno.EINVAL, _f.Call(24, 10, 0, HvmFixture.Arguments));
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(1, false)]
    [InlineData(12, true)]
    [InlineData(26, false)]
    [InlineData(32, true)]
    [InlineData(34, true)]
    public void PageTablesAreNoBusinessOfHypercalls(int number, bool translated) =>
        Assert.Equal(translated, Dbt.Xen.Hypercalls.HypercallTable.Rows[number]!.Translated);
}
