using System.Runtime.InteropServices;
using System.Text;
using Dbt.Runtime.Memory;
using Dbt.Xen.Builder;
using static Dbt.Tests.Xen.Builder.ElfWriter;

namespace Dbt.Tests.Xen.Builder;

public sealed class StartOfDayTests : IDisposable
{
    private readonly MachineMemory _machine = new(512UL << 20);

    public void Dispose() => _machine.Dispose();

    private static KernelImage Kernel(uint virtBase, uint at, uint size, bool modStartPfn = false) => KernelImage.Load(
        new ElfWriter { Entry = virtBase + at }.Load(virtBase + at, new byte[16], physical: at, memorySize: size)
            .NoteSegment([Note(3, virtBase), Note(9, "yes"), .. modStartPfn ? new[] { Note(16, 1u) } : []]).Build());

    private GuestFrames Frames(StartOfDayLayout layout)
    {
        uint[] p2m = new uint[layout.PageCount];
        for (int i = p2m.Length - 1; i >= 0; i--)
        {
            Assert.True(_machine.TryAllocate(out p2m[i])); // descending, so that PFN and MFN can't be mixed up unseen
        }

        return new GuestFrames(_machine, p2m);
    }

    [Fact]
    public void ElementsFollowEachOtherInTheirOrder()
    {
        KernelImage kernel = Kernel(0xC0000000, 0x100000, 0x23456);
        var layout = StartOfDayLayout.Compute(kernel, ramdiskBytes: 5000, pageCount: 64 * 256);
        const uint kernelEnd = 0x124;
        Assert.Equal(kernelEnd, layout.RamdiskPfn);
        Assert.Equal(kernelEnd + 2, layout.P2mPfn);
        Assert.Equal(layout.P2mPfn + 16, layout.StartInfoPfn); // 16384 frames of 4 bytes
        Assert.Equal((layout.StartInfoPfn + 1, layout.StartInfoPfn + 2), (layout.StorePfn, layout.ConsolePfn));
        Assert.Equal(layout.ConsolePfn + 1, layout.PageTablePfn);
        Assert.Equal(4u, layout.PageTableCount); // L3, the L2 of the last GiB, two L1s for 4 MiB
        Assert.Equal(layout.PageTablePfn + 4, layout.StackPfn);
        Assert.Equal(0xC0400000u, layout.MappedEnd);
    }

    [Fact]
    public void AnotherFourMegabytesGiveTheLeastPadding()
    {
        var layout = StartOfDayLayout.Compute(Kernel(0xC0000000, 0, 0x380000), 0, 64 * 256);
        Assert.Equal(0xC0800000u, layout.MappedEnd);
        Assert.True(layout.MappedEnd - layout.AddressOf(layout.StackPfn + 1) >= 512 << 10);
    }

    [Fact]
    public void ALowKernelHasTheLastGigabytesTableToo()
    {
        var layout = StartOfDayLayout.Compute(Kernel(0, 0, 0x1000), 0, 32 * 256);
        Assert.Equal(5u, layout.PageTableCount);
        Assert.Equal((0, 0), layout.MappedGigabytes);
    }

    [Fact]
    public void ARamdiskMayLieOutsideTheMapping()
    {
        KernelImage kernel = Kernel(0xC0000000, 0x100000, 0x1000, modStartPfn: true);
        var layout = StartOfDayLayout.Compute(kernel, 8 << 20, 32 * 256);
        Assert.True(layout.RamdiskUnmapped);
        Assert.Equal(0xC0400000u, layout.MappedEnd);
        Assert.Equal(0x400u, layout.RamdiskPfn);
        Assert.Throws<DomainBuildException>(() => StartOfDayLayout.Compute(kernel, 8 << 20, 11 * 256));
    }

    [Fact]
    public void TooLittleMemoryIsToldInMegabytes()
    {
        var exception = Assert.Throws<DomainBuildException>(() => StartOfDayLayout.Compute(Kernel(0, 0, 0x600000), 0, 4 * 256));
        Assert.Equal("too little memory: 4 MiB, but kernel, ramdisk and page tables need 8 MiB", exception.Message);
    }

    [Fact]
    public void WhatReachesTheHypervisorIsRefused()
    {
        var exception = Assert.Throws<DomainBuildException>(() => StartOfDayLayout.Compute(Kernel(0xF0000000, 0, 0x1000), 100 << 20, 512 * 256));
        Assert.Contains("hypervisor", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(0xC0000000u)]
    [InlineData(0x3FE00000u)] // across a GiB boundary, and not 4-MiB aligned
    public void TablesMapEverythingAndThemselvesReadOnly(uint virtBase)
    {
        var layout = StartOfDayLayout.Compute(Kernel(virtBase, 0x1000, 0x300000), 0, 16 * 256);
        GuestFrames frames = Frames(layout);
        InitialPageTables.Write(layout, frames);
        for (ulong address = virtBase; address < layout.MappedEnd; address += 4096)
        {
            uint pfn = (uint)((address - virtBase) >> 12);
            bool table = pfn >= layout.PageTablePfn && pfn < layout.PageTablePfn + layout.PageTableCount;
            Assert.Equal(((ulong)frames.P2m[pfn] << 12) | (table ? 0x21u : 0x23u), Walk(layout, frames, address));
        }

        Assert.Equal(0u, layout.MappedEnd < 1ul << 32 ? Walk(layout, frames, layout.MappedEnd) : 0);
        Assert.NotEqual(0u, frames.Table(layout.PageTablePfn)[3]);
    }

    [Fact]
    public void StartInfoHasTheHeadersLayout()
    {
        byte[] page = new byte[4096];
        new StartInfo
        {
            PageCount = 1,
            SharedInfoAddress = 2,
            Flags = 3,
            StoreMfn = 4,
            StorePort = 5,
            ConsoleMfn = 6,
            ConsolePort = 7,
            PageTableAddress = 8,
            PageTableCount = 9,
            P2mAddress = 10,
            ModuleStart = 11,
            ModuleBytes = 12,
            CommandLine = Encoding.ASCII.GetBytes("root=/dev/xvda"),
        }.Write(page);
        Assert.Equal("xen-3.0-x86_32p", Encoding.ASCII.GetString(page, 0, 32).TrimEnd('\0'));
        Assert.Equal(Enumerable.Range(1, 12), MemoryMarshal.Cast<byte, int>(page.AsSpan(32, 48)).ToArray());
        Assert.Equal("root=/dev/xvda", Encoding.ASCII.GetString(page, 80, 1024).TrimEnd('\0'));
    }

    [Fact]
    public void WritesSpanFrames()
    {
        var layout = StartOfDayLayout.Compute(Kernel(0, 0, 0x1000), 0, 8 * 256);
        GuestFrames frames = Frames(layout);
        byte[] data = [.. Enumerable.Range(0, 9000).Select(i => (byte)(i * 7))];
        frames.Write(0xFFF, data);
        Assert.Equal(data[0], frames.Page(0)[0xFFF]);
        Assert.True(frames.Page(1).SequenceEqual(data.AsSpan(1, 4096)));
        Assert.Equal(data[^1], frames.Page(3)[(0xFFF + 8999) & 0xFFF]);
    }

    /// <summary>The L1 entry that maps an address; 0 where there is none.</summary>
    private ulong Walk(StartOfDayLayout layout, GuestFrames frames, ulong address)
    {
        ulong entry = frames.Table(layout.PageTablePfn)[(int)(address >> 30)];
        Assert.True(entry == 0 || (entry & 0xFFF) == 1);
        ulong l2 = entry == 0 ? 0 : Table(entry)[(int)(address >> 21) & 511];
        Assert.True(l2 == 0 || (l2 & 0xFFF) == 0x67);
        return l2 == 0 ? 0 : Table(l2)[(int)(address >> 12) & 511];
    }

    private unsafe Span<ulong> Table(ulong entry) => new(_machine.Frame((uint)(entry >> 12)), 512);
}
