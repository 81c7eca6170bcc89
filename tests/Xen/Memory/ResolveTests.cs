using Dbt.Translator.Memory;
using Dbt.Translator.State;
using Dbt.Xen.Abi;
using static Dbt.Tests.Xen.Memory.MemoryFixture;

namespace Dbt.Tests.Xen.Memory;

public sealed unsafe class ResolveTests : IDisposable
{
    private readonly MemoryFixture _f = new();

    public void Dispose() => _f.Dispose();

    [Fact]
    public void TheWalkFindsThePageAndSetsAccessedAndDirty()
    {
        Assert.Equal(0, _f.UpdateVa(0x5000, Entry(_f.Pages[5], P | W)));
        Assert.True(_f.TryResolve(0x5123, MemoryAccess.Read, user: false, out byte* host, out _));
        Assert.Equal((nint)_f.Hypervisor.Machine.Frame(_f.Pages[5]) + 0x123, (nint)host);
        Assert.Equal(Entry(_f.Pages[5], P | W | A), _f.Table(_f.L1)[5]);
        Assert.True(_f.InTlb(0x5000, MemoryAccess.Read));
        Assert.False(_f.InTlb(0x5000, MemoryAccess.Write)); // dirty is not set yet

        Assert.True(_f.TryResolve(0x5123, MemoryAccess.Write, user: false, out _, out _));
        Assert.Equal(Entry(_f.Pages[5], P | W | A | D), _f.Table(_f.L1)[5]);
        Assert.True(_f.InTlb(0x5000, MemoryAccess.Write));
        Assert.False(_f.InTlb(0x5000, MemoryAccess.Write, user: true));
    }

    [Theory]
    [InlineData(0x40000000u, MemoryAccess.Read, false, 0)]
    [InlineData(0x40000000u, MemoryAccess.Write, true, 6)]
    [InlineData(0x00400000u, MemoryAccess.Execute, true, 20)]
    [InlineData(0x00100000u, MemoryAccess.Read, true, 4)]
    [InlineData(0x5000u, MemoryAccess.Write, false, 3)] // read-only; CR0.WP is always set
    [InlineData(0x5000u, MemoryAccess.Read, true, 5)] // supervisor's
    [InlineData(0x5000u, MemoryAccess.Execute, false, 17)]
    [InlineData(0x6000u, MemoryAccess.Write, true, 7)]
    public void FaultCodesAreExact(uint linear, MemoryAccess access, bool user, uint code)
    {
        Assert.Equal(0, _f.UpdateVa(0x5000, Entry(_f.Pages[5], P | Nx)));
        Assert.Equal(0, _f.UpdateVa(0x6000, Entry(_f.Pages[6], P | U)));
        Assert.False(_f.TryResolve(linear, access, user, out byte* host, out PageFaultCode error));
        Assert.Equal((code, (nint)0), ((uint)error, (nint)host));
    }

    [Fact]
    public void RightsAreThoseOfBothLevels()
    {
        Assert.Equal(0, _f.UpdateEntry(_f.L2, 0, Entry(_f.L1, P | W | A))); // supervisor
        Assert.False(_f.TryResolve(0x1000, MemoryAccess.Read, user: true, out _, out PageFaultCode error));
        Assert.Equal(5u, (uint)error);
        Assert.Equal(0, _f.UpdateEntry(_f.L2, 1, Entry(_f.L1, P | U | Nx)));
        Assert.False(_f.TryResolve(0x201000, MemoryAccess.Write, user: false, out _, out error));
        Assert.Equal(3u, (uint)error);
        Assert.False(_f.TryResolve(0x201000, MemoryAccess.Execute, user: false, out _, out error));
        Assert.Equal(17u, (uint)error);
        Assert.True(_f.TryResolve(0x201000, MemoryAccess.Read, user: true, out _, out _));
    }

    [Fact]
    public void TheMachineToPhysTableIsReadableByAllAndNothingElseUpThere()
    {
        _f.Hypervisor.MachineToPhys[_f.Pages[0]] = 1234;
        uint linear = Layout.HypervisorStart + (_f.Pages[0] * 4);
        foreach (bool user in (bool[])[false, true])
        {
            Assert.True(_f.TryResolve(linear, MemoryAccess.Read, user, out byte* host, out _));
            Assert.Equal(1234u, *(uint*)host);
            Assert.False(_f.TryResolve(linear, MemoryAccess.Write, user, out _, out _));
            Assert.False(_f.TryResolve(linear, MemoryAccess.Execute, user, out _, out _));
            Assert.False(_f.TryResolve(Layout.HypervisorStart + _f.Hypervisor.MachineToPhysBytes, MemoryAccess.Read, user, out _, out _));
            Assert.False(_f.TryResolve(Layout.MachineToPhysEnd, MemoryAccess.Read, user, out _, out _));
            Assert.False(_f.TryResolve(0xFFFFFFFF, MemoryAccess.Read, user, out _, out _));
        }
    }

    [Fact]
    public void AChangedEntryDropsItsPageInEverySpaceAndNoOther()
    {
        uint root = _f.SecondRoot(out _);
        Assert.Equal(0, _f.Pin(root, Dbt.Xen.Memory.PageType.L3));
        Touch(0x5000, 0x6000);
        var first = _f.Vcpu.AddressSpace!;
        Assert.Equal(0, _f.Extended(5, root));
        Touch(0x5000, 0x6000);
        var second = _f.Vcpu.AddressSpace!;
        Assert.NotSame(first, second);

        Assert.Equal(0, _f.UpdateEntry(_f.L1, 5, Entry(_f.Pages[7], P)));
        foreach (var space in (Dbt.Xen.Memory.AddressSpace[])[first, second])
        {
            Assert.Equal(0, space.Tlb.Entry(5, MemoryAccess.Read, false));
            Assert.Equal(0, space.Tlb.Entry(5, MemoryAccess.Write, false));
            Assert.NotEqual(0, space.Tlb.Entry(6, MemoryAccess.Read, false));
        }

        Assert.True(_f.TryResolve(0x5000, MemoryAccess.Read, user: false, out byte* host, out _));
        Assert.Equal((nint)_f.Hypervisor.Machine.Frame(_f.Pages[7]), (nint)host);
    }

    [Fact]
    public void AChangedDirectoryEntryDropsItsRange()
    {
        Assert.Equal(0, _f.UpdateEntry(_f.L2, 1, Entry(_f.L1, P | W)));
        Touch(0x5000, 0x205000);
        Assert.Equal(0, _f.UpdateEntry(_f.L2, 1, 0));
        Assert.True(_f.InTlb(0x5000, MemoryAccess.Read));
        Assert.False(_f.InTlb(0x205000, MemoryAccess.Read));

        // The L1 table's list of uses lost that range, and still knows the other.
        Assert.Equal(0, _f.UpdateEntry(_f.L1, 5, 0));
        Assert.False(_f.InTlb(0x5000, MemoryAccess.Read));
    }

    [Fact]
    public void AChangedRootEntryDropsItsGigabyte()
    {
        Assert.Equal(0, _f.UpdateEntry(_f.L3, 1, Entry(_f.L2, P)));
        Touch(0x5000, 0x40005000);
        Assert.Equal(0, _f.UpdateEntry(_f.L3, 1, 0));
        Assert.False(_f.InTlb(0x40005000, MemoryAccess.Read));
        Assert.False(_f.TryResolve(0x40005000, MemoryAccess.Read, user: false, out _, out _));
        Touch(0x5000, 0x5000);
        Assert.Equal(0, _f.UpdateEntry(_f.L1, 5, 0));
        Assert.False(_f.InTlb(0x5000, MemoryAccess.Read));
    }

    [Fact]
    public void Xsa286LinearMappingsFollowUpperLevelChanges()
    {
        // Slot 100 maps the tables themselves: page i of that range is what L2[i] leads to, and page 100 is the L2.
        Assert.Equal(0, _f.UpdateEntry(_f.L2, 100, Entry(_f.L2, P)));
        uint window = 100 << 21;
        Assert.True(_f.TryResolve(window, MemoryAccess.Read, user: false, out byte* host, out _));
        Assert.Equal((nint)_f.Table(_f.L1), (nint)host);
        Assert.True(_f.TryResolve(window + (100 << 12), MemoryAccess.Read, user: false, out host, out _));
        Assert.Equal((nint)_f.Table(_f.L2), (nint)host);
        Assert.False(_f.TryResolve(window, MemoryAccess.Write, user: false, out _, out _));

        uint other = _f.Page();
        Assert.Equal(0, _f.UpdateEntry(_f.L2, 0, Entry(other, P | W)));
        Assert.False(_f.InTlb(window, MemoryAccess.Read));
        Assert.True(_f.TryResolve(window, MemoryAccess.Read, user: false, out host, out _));
        Assert.Equal((nint)_f.Table(other), (nint)host);

        Assert.Equal(0, _f.Memory.UpdateEntry(_f.L2, 100, 0, preserveAccessed: false, _f.Domain.Id)); // no memory is mapped for arguments
        Assert.False(_f.InTlb(window, MemoryAccess.Read));
        Assert.False(_f.InTlb(window + (100 << 12), MemoryAccess.Read));
        Assert.False(_f.TryResolve(window, MemoryAccess.Read, user: false, out _, out _));
    }

    [Fact]
    public void APageWithCodeIsNeverFilledForWriting()
    {
        Assert.True(_f.TryResolve(0x5000, MemoryAccess.Write, user: false, out _, out _));
        Assert.True(_f.InTlb(0x5000, MemoryAccess.Write));
        _f.Hypervisor.Machine.CodeMap.Mark(_f.Pages[5], hasCode: true);
        _f.Memory.ProtectCode(_f.Pages[5]);
        Assert.False(_f.InTlb(0x5000, MemoryAccess.Write));
        Assert.True(_f.InTlb(0x5000, MemoryAccess.Read));
        Assert.True(_f.TryResolve(0x5000, MemoryAccess.Write, user: false, out byte* host, out _));
        Assert.NotEqual(0, (nint)host);
        Assert.False(_f.InTlb(0x5000, MemoryAccess.Write));
    }

    [Fact]
    public void ProtectingCodeDropsEveryAlias()
    {
        // One page at several addresses, in two spaces.
        Assert.Equal(0, _f.UpdateVa(0x30000, Entry(_f.Pages[5], P | W)));
        uint root = _f.SecondRoot(out _);
        Touch(0x5000, 0x30000);
        var first = _f.Vcpu.AddressSpace!;
        Assert.Equal(0, _f.Extended(5, root));
        Touch(0x5000, 0x30000);
        _f.Memory.ProtectCode(_f.Pages[5]);
        foreach (var space in (Dbt.Xen.Memory.AddressSpace[])[first, _f.Vcpu.AddressSpace!])
        {
            Assert.Equal(0, space.Tlb.Entry(5, MemoryAccess.Write, false));
            Assert.Equal(0, space.Tlb.Entry(0x30, MemoryAccess.Write, false));
        }
    }

    [Fact]
    public void MoreSpacesThanAreKeptStayCorrect()
    {
        var roots = new List<uint>();
        for (int i = 0; i < Dbt.Xen.Memory.AddressSpaces.Capacity + 10; i++)
        {
            uint root = _f.SecondRoot(out _);
            Assert.Equal(0, _f.Pin(root, Dbt.Xen.Memory.PageType.L3));
            Assert.Equal(0, _f.Extended(5, root));
            Touch(0x5000, 0x6000);
            roots.Add(root);
        }

        Assert.Equal(0, _f.UpdateEntry(_f.L1, 5, 0));
        foreach (uint root in roots)
        {
            Assert.Equal(0, _f.Extended(5, root));
            Assert.False(_f.InTlb(0x5000, MemoryAccess.Read));
            Assert.False(_f.TryResolve(0x5000, MemoryAccess.Read, user: false, out _, out _));
        }

        Assert.Equal(0, _f.Extended(5, _f.L3));
        foreach (uint root in roots)
        {
            Assert.Equal(0, _f.Unpin(root));
            Assert.Equal((1u, 0ul), _f.Counts(root));
        }
    }

    private void Touch(params uint[] addresses)
    {
        foreach (uint linear in addresses)
        {
            Assert.True(_f.TryResolve(linear, MemoryAccess.Write, user: false, out _, out _));
            Assert.True(_f.InTlb(linear, MemoryAccess.Write));
        }
    }
}
