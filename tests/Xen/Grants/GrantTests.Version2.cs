using Dbt.Tests.Xen.Memory;
using Dbt.Xen.Grants;
using static Dbt.Tests.Xen.Memory.MemoryFixture;
using static Dbt.Xen.Abi.Errno;

namespace Dbt.Tests.Xen.Grants;

// Version 2: larger entries, status apart, parts of pages, grants passed on.
public sealed unsafe partial class GrantTests
{
    private const uint Passed = 3, StatusWindow = 0x3D000;
    private const ushort FromReference = 1, ToReference = 2, Self = 0x7FF0;

    [Fact]
    public void TheVersionChangesThereAndBackAndKeepsReservedEntries()
    {
        Assert.True(_a.Domain.Grants.TryGrantToBackend(1, _a.Pages[5]));
        Assert.True(_a.Domain.Grants.TryMapForBackend(1, writable: true, out GrantedPage? held));
        Grant(20, Permit, _b, _a.Pages[6]);
        Assert.Equal((0, 2u), SetVersion(2));
        Assert.Equal((1u, 0u, (ulong)_a.Pages[5]), Entry2(1));
        Assert.Equal(Reading | Writing, Status(1));
        Assert.Equal((0u, 0u, 0ul), Entry2(20));
        Assert.Equal((0u, 0u, 0ul), Entry2(8));
        held.Dispose();
        Assert.Equal(0u, Status(1));
        Assert.True(_a.Domain.Grants.TryMapForBackend(1, writable: true, out held));
        Assert.Equal(Reading | Writing, Status(1));
        Assert.Equal((0, 1u), SetVersion(1));
        Assert.Equal(Permit | Reading | Writing, Flags(1));
        held.Dispose();
        Assert.Equal(Permit, Flags(1));
        Assert.Equal(0u, Flags(20));
        foreach (var (version, error) in ((uint, int)[])[(0, -EINVAL), (3, -EINVAL), (uint.MaxValue, -EINVAL), (1, 0)])
        {
            Assert.Equal((error, 1u), SetVersion(version));
        }
    }

    [Fact]
    public void TheConfigurationMayKeepVersion2Away()
    {
        _a.Domain.Grants.HighestVersion = 1;
        Assert.Equal((-ENOSYS, 1u), SetVersion(2));
        _a.Put(Arguments, 0x7FF0ul);
        Assert.Equal(0, _a.Call(20, 10, Arguments, 1));
        Assert.Equal(1u, _a.Get<uint>(Arguments + 4));
    }

    [Fact]
    public void XSA_26_255_a_table_in_use_keeps_its_version()
    {
        Grant(10, Permit, _b, _a.Pages[5]);
        var (_, handle) = Map(10, Host);
        Assert.Equal((-EBUSY, 1u), SetVersion(2));
        Assert.Equal(Permit | Reading | Writing, Flags(10));
        Assert.Equal(0, Unmap(handle, Target));
        Assert.Equal((0, 2u), SetVersion(2));
        Grant2(10, Permit, _b, _a.Pages[5]);
        (_, handle) = Map(10, Host);
        Assert.Equal((-EBUSY, 2u), SetVersion(1));
        Assert.Equal(0, Unmap(handle, Target));
        Assert.Equal((0, 1u), SetVersion(1));
    }

    [Fact]
    public void MapsAndUnmapsShowInTheStatusAlone()
    {
        SetVersion(2);
        Grant2(10, Permit, _b, _a.Pages[5]);
        var (status, handle) = Map(10, Host);
        Assert.Equal(0, status);
        Assert.Equal((Permit, Reading | Writing), (Entry2(10).Header & 0xFFFF, Status(10)));
        Assert.Equal((3u, 2u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
        _b.Put(Target + 8, 0x55AA);
        Assert.Equal(0x55AA, _a.Get<int>(0x5008));
        var (_, second) = Map(10, Host | ReadOnly, Target - 0x1000);
        Assert.Equal(0, Unmap(handle, Target));
        Assert.Equal(Reading, Status(10));
        Assert.Equal(0, Unmap(second, Target - 0x1000));
        Assert.Equal(0u, Status(10));
        Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
    }

    [Fact]
    public void WhatIsRefusedLeavesNoStatus()
    {
        SetVersion(2);
        foreach (var (flags, frame, error) in ((uint, ulong, int)[])[(0, 0, -1), (2, 0, -1), (Passed, 0, -1), (Permit | SubPage, 0, -1), (PermitReadOnly, 0, -1),
            (Permit, uint.MaxValue, -9), (Permit, 1UL << 32, -9), (Permit, _b.Pages[5], -9)])
        {
            Grant2(10, flags, _b, frame == 0 ? _a.Pages[5] : frame);
            Assert.Equal(error, Map(10, Host).Status);
            Assert.Equal(0u, Status(10));
        }

        Grant2(10, Permit, _a, _a.Pages[5]);
        Assert.Equal(-1, Map(10, Host).Status);
        Assert.Equal(-3, Map(256, Host).Status);
        Assert.Equal(-3, Map(uint.MaxValue, Host).Status);
        Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
    }

    [Fact]
    public void StatusFramesComeWithTheTable()
    {
        Assert.Equal(-1, StatusFrames(1));
        Assert.Equal(0, StatusFrames(0));
        SetVersion(2);
        Assert.Equal(0, StatusFrames(1));
        ulong first = _a.Get<ulong>(0x2000);
        Assert.Equal(-1, StatusFrames(2));
        Assert.Equal(-1, StatusFrames(uint.MaxValue >> 4));
        Setup(_a, 9);
        Assert.Equal(0, StatusFrames(2));
        Assert.Equal(first, _a.Get<ulong>(0x2000));
        Assert.NotEqual(first, _a.Get<ulong>(0x2008));
        Setup(_a, 64);
        Assert.Equal(0, StatusFrames(8));
        Assert.Equal(-1, StatusFrames(9));

        // The last entry there can be.
        uint last = (64 * 256) - 1;
        Span<uint> frames = stackalloc uint[64];
        Assert.True(_a.Domain.Grants.TrySetup(64, frames));
        ulong* entry = (ulong*)_hypervisor.Machine.Frame(frames[63]) + 510;
        (entry[0], entry[1]) = (Permit | ((uint)_b.Domain.Id << 16), _a.Pages[5]);
        var (status, handle) = Map(last, Host);
        Assert.Equal(0, status);
        Assert.Equal((ushort)(Reading | Writing), ((ushort*)_hypervisor.Machine.Frame((uint)_a.Get<ulong>(0x2038)))[2047]);
        Assert.Equal(-3, Map(last + 1, Host).Status);
        Assert.Equal(0, Unmap(handle, Target));
    }

    [Fact]
    public void XSA_255_382_384_status_frames_that_are_mapped_stay_the_guests_over_a_change_of_version()
    {
        SetVersion(2);
        Assert.Equal(0, StatusFrames(1));
        uint frame = (uint)_a.Get<ulong>(0x2000);
        Assert.Equal(0, _a.UpdateVa(StatusWindow, Entry(frame, P | W)));
        uint before = _a.References(frame);
        for (int i = 0; i < 5; i++)
        {
            Assert.Equal((0, 1u), SetVersion(1));
            _a.Put(StatusWindow + 20, 0xABCDu);
            Assert.True(_a.Memory.Owns(frame));
            Assert.Equal(before, _a.References(frame));
            Assert.Equal(-1, StatusFrames(1));

            // Version 1 never looks at them.
            Grant(10, Permit, _b, _a.Pages[5]);
            var (_, handle) = Map(10, Host);
            Assert.Equal(0xABCDu, _a.Get<uint>(StatusWindow + 20));
            Assert.Equal(0, Unmap(handle, Target));
            Assert.Equal((0, 2u), SetVersion(2));
            Assert.Equal(0, StatusFrames(1));
            Assert.Equal(frame, (uint)_a.Get<ulong>(0x2000));
        }

        _a.Domain.Dispose();
        _b.Domain.Dispose();
    }

    [Fact]
    public void APartOfAPageIsCopiedWithinItsBounds()
    {
        SetVersion(2);
        new Span<byte>(_hypervisor.Machine.Frame(_a.Pages[5]), 4096).Fill(0x11);
        Grant2(10, Permit | SubPage, _b, _a.Pages[5], 100 | (50u << 16));
        Assert.Equal(-1, Map(10, Host).Status);
        Assert.Equal(0, CopyFrom(10, 100, 50));
        Assert.Equal(0, CopyFrom(10, 120, 1));
        foreach (var (offset, length) in ((ushort, ushort)[])[(99, 1), (99, 2), (100, 51), (149, 2), (150, 1), (0, 4096), (0, 1)])
        {
            Assert.Equal(-1, CopyFrom(10, offset, length));
        }

        Assert.Equal(-10, CopyFrom(10, 4095, 2));
        Assert.Equal(0, CopyTo(10, 100, 50));
        Assert.Equal(-1, CopyTo(10, 90, 50));

        // Bounds that lead beyond the page are no way out of it.
        Grant2(10, Permit | SubPage, _b, _a.Pages[5], 4000 | (0xFFFFu << 16));
        Assert.Equal(0, CopyFrom(10, 4000, 96));
        Assert.Equal(-10, CopyFrom(10, 4000, 97));
        Assert.Equal(0u, Status(10));
        Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
    }

    [Fact]
    public void XSA_226_a_grant_is_passed_on_once_and_to_copy_only()
    {
        var c = new MemoryFixture(_hypervisor);
        Setup(c, 1);
        uint table = c.Get<uint>(0x2000);
        PutFirst(table, 9, Permit | ((uint)_a.Domain.Id << 16), c.Pages[5]);
        PutFirst(table, 10, PermitReadOnly | ((uint)_a.Domain.Id << 16), c.Pages[6]);
        c.Put(0x5000, 0x1234ABCDu);
        SetVersion(2);
        Grant2(10, Passed, _b, 9, c.Domain.Id);
        Grant2(11, Passed, _b, 10, c.Domain.Id);
        Assert.Equal(-1, Map(10, Host).Status);
        Assert.Equal(0, CopyFrom(10, 0, 8));
        Assert.Equal(0x1234ABCDu, _b.Get<uint>(0x6000));
        _b.Put(0x6000, 0x77u);
        Assert.Equal(0, CopyTo(10, 0, 8));
        Assert.Equal(0x77u, c.Get<uint>(0x5000));
        Assert.Equal(0, CopyFrom(11, 0, 8));
        Assert.Equal(-1, CopyTo(11, 0, 8));

        // Not to itself, not twice, not of what isn't there.
        Grant2(12, Passed, _b, 10, _a.Domain.Id);
        Assert.Equal(-1, CopyFrom(12, 0, 8));
        Grant2(12, Passed, _b, 10, 99);
        Assert.Equal(-1, CopyFrom(12, 0, 8));
        Grant2(12, Passed, _b, 9, Self);
        Assert.Equal(-1, CopyFrom(12, 0, 8));
        Grant2(12, Passed, _b, 100_000, c.Domain.Id);
        Assert.Equal(-3, CopyFrom(12, 0, 8));
        c.Put(Arguments, 2u);
        Assert.Equal(0, c.Call(20, 8, Arguments, 1));
        PutSecond(table, 9, Passed | ((uint)_a.Domain.Id << 16), _a.Domain.Id, 10);
        Assert.Equal(-1, CopyFrom(10, 0, 8));
        PutSecond(table, 9, Permit | SubPage | ((uint)_a.Domain.Id << 16), 16 | (8u << 16), c.Pages[5]);
        Assert.Equal(0, CopyFrom(10, 16, 8));
        Assert.Equal(-1, CopyFrom(10, 0, 8));

        // And nothing is left in use.
        Assert.Equal((0u, 0u, 0u), (Status(10), Status(11), Status(12)));
        Assert.Equal((2u, 1u), (c.References(c.Pages[5]), c.TypeCount(c.Pages[5])));
        Assert.Equal((0, 1u), SetVersion(1));
        c.Domain.Dispose();
        Assert.Equal((0, 2u), SetVersion(2));
        Grant2(10, Passed, _b, 9, c.Domain.Id);
        Assert.Equal(-1, CopyFrom(10, 0, 8));
        Assert.Equal(0u, Status(10));
    }

    [Fact]
    public void EntriesOfVersion2AreSwapped()
    {
        SetVersion(2);
        Grant2(10, Permit, _b, _a.Pages[5]);
        Assert.Equal(0, Swap(10, 255));
        Assert.Equal((ulong)_a.Pages[5], Entry2(255).Frame);
        Assert.Equal(-3, Swap(10, 256));
        var (_, handle) = Map(255, Host);
        Assert.Equal(-12, Swap(10, 255));
        Assert.Equal(0, Unmap(handle, Target));
    }

    [Fact]
    public void XSA_228_295_an_entry_that_changes_meanwhile_holds_nobody_up_and_counts_stay_exact()
    {
        SetVersion(2);
        Grant2(10, Permit, _b, _a.Pages[5]);
        Assert.Equal(0, StatusFrames(1));
        uint statusFrame = (uint)_a.Get<ulong>(0x2000);
        bool stop = false;
        uint* header = (uint*)(_hypervisor.Machine.Frame(TableFrame) + (10 * 16));
        uint good = *header;
        ulong frame = ((ulong*)header)[1];
        ushort* status = (ushort*)_hypervisor.Machine.Frame(statusFrame) + 10;
        var changer = new Thread(() =>
        {
            var random = new Random(5);
            while (!Volatile.Read(ref stop))
            {
                Volatile.Write(ref *header, random.Next(4) switch { 0 => good ^ 2, 1 => good | SubPage, 2 => good | 4, _ => good });
                Volatile.Write(ref header[1], (uint)random.Next());
                Volatile.Write(ref ((ulong*)header)[1], random.Next(3) == 0 ? (ulong)random.NextInt64() : frame);
                Volatile.Write(ref *status, (ushort)random.Next());
            }
        });
        changer.Start();
        for (int i = 0; i < 3000; i++)
        {
            var (result, handle) = Map(10, i % 2 == 0 ? Host : Host | ReadOnly);
            _ = CopyFrom(10, (ushort)(i & 4095), 1);
            if (result == 0)
            {
                Assert.Equal(0, Unmap(handle, Target));
            }
        }

        Volatile.Write(ref stop, true);
        changer.Join();
        Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
        Assert.Equal((0, 1u), SetVersion(1));
    }

    [Fact]
    public void CacheFlushesOfWhatIsNotOnesOwnAreRefused()
    {
        Assert.Equal(0, Flush(_b, (ulong)_b.Pages[5] << 12, 0, 4096, 1));
        Assert.Equal(0, Flush(_b, (ulong)_b.Pages[5] << 12, 0, 4096, 3));
        Assert.Equal(-EOPNOTSUPP, Flush(_b, (ulong)_b.Pages[5] << 12, 0, 4096, 2));
        Assert.Equal(-EOPNOTSUPP, Flush(_b, 10, 0, 4096, 0x80000001));
        Assert.Equal(-EINVAL, Flush(_b, (ulong)_b.Pages[5] << 12, 1, 4096, 1));
        Assert.Equal(-EINVAL, Flush(_b, (ulong)_b.Pages[5] << 12, 0, 4096, 4));
        Assert.Equal(0, Flush(_b, ulong.MaxValue, 0, 0, 1));
        Assert.Equal(-EPERM, Flush(_b, (ulong)_a.Pages[5] << 12, 0, 64, 1));
        Assert.Equal(-EPERM, Flush(_b, ulong.MaxValue, 0, 64, 1));
        Grant(10, Permit, _b, _a.Pages[5]);
        var (_, handle) = Map(10, Host);
        Assert.Equal(0, Flush(_b, (ulong)_a.Pages[5] << 12, 0, 64, 1));
        Assert.Equal(0, Unmap(handle, Target));
        Assert.Equal(-EFAULT, _b.Call(20, 12, 0x40000000, 1));
    }

    [Fact]
    public void FewerFramesAndMappingsMayBeConfigured()
    {
        _a.Domain.Grants.HighestFrames = 2;
        Setup(_a, 2);
        Setup(_a, 3, status: -1);
        Assert.Equal(0u, _a.Domain.Grants.TryGetFrame(2));
        _a.Put(Arguments, 0x7FF0u);
        Assert.Equal(0, _a.Call(20, 6, Arguments, 1));
        Assert.Equal((2u, 2u), (_a.Get<uint>(Arguments + 4), _a.Get<uint>(Arguments + 8)));
        SetVersion(2);
        Assert.Equal(0u, _a.Domain.Grants.TryGetStatusFrame(1));
        Assert.NotEqual(0u, _a.Domain.Grants.TryGetStatusFrame(0));
        SetVersion(1);
        _b.Domain.Grants.HighestMapFrames = 0;
        Grant(10, Permit, _b, _a.Pages[5]);
        Assert.Equal(-13, Map(10, Host).Status);
        Assert.Equal(Permit, Flags(10));
    }

    private static int Flush(MemoryFixture domain, ulong address, ushort offset, ushort length, uint operation)
    {
        domain.Put(Arguments, address);
        domain.Put(Arguments + 8, offset | ((uint)length << 16));
        domain.Put(Arguments + 12, operation);
        return domain.Call(20, 12, Arguments, 1);
    }

    private (int Result, uint Version) SetVersion(uint version)
    {
        _a.Put(Arguments, version);
        int result = _a.Call(20, 8, Arguments, 1);
        return (result, _a.Get<uint>(Arguments));
    }

    private short StatusFrames(uint count)
    {
        _a.Put(Arguments, count);
        _a.Put(Arguments + 4, (uint)Self);
        _a.Put(Arguments + 8, 0x2000u);
        Assert.Equal(0, _a.Call(20, 9, Arguments, 1));
        return _a.Get<short>(Arguments + 6);
    }

    private void Grant2(uint reference, uint flags, MemoryFixture to, ulong frame, uint detail = 0)
    {
        _a.Put(Window + (reference * 16) + 4, detail);
        _a.Put(Window + (reference * 16) + 8, frame);
        _a.Put(Window + (reference * 16), flags | ((uint)to.Domain.Id << 16));
    }

    private (uint Header, uint Detail, ulong Frame) Entry2(uint reference)
    {
        uint* entry = (uint*)(_hypervisor.Machine.Frame(TableFrame) + (reference * 16));
        return (entry[0], entry[1], ((ulong*)entry)[1]);
    }

    private uint Status(uint reference)
    {
        Span<ulong> frames = stackalloc ulong[1];
        Assert.True(_a.Domain.Grants.TryGetStatusFrames(frames));
        return ((ushort*)_hypervisor.Machine.Frame((uint)frames[0]))[reference];
    }

    private void PutFirst(uint table, uint reference, uint header, uint frame) =>
        (((uint*)_hypervisor.Machine.Frame(table))[(reference * 2) + 1], ((uint*)_hypervisor.Machine.Frame(table))[reference * 2]) = (frame, header);

    private void PutSecond(uint table, uint reference, uint header, uint detail, ulong frame)
    {
        ulong* entry = (ulong*)_hypervisor.Machine.Frame(table) + (reference * 2);
        (entry[1], entry[0]) = (frame, header | ((ulong)detail << 32));
    }

    private short CopyFrom(uint reference, ushort offset, ushort length) => Copy(reference, _a.Domain.Id, offset, _b.Pages[6], Self, 0, length, FromReference);

    private short CopyTo(uint reference, ushort offset, ushort length) => Copy(_b.Pages[6], Self, 0, reference, _a.Domain.Id, offset, length, ToReference);
}
