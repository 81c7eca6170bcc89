using System.Text;
using Dbt.Xen.Builder;
using static Dbt.Tests.Xen.Builder.ElfWriter;

namespace Dbt.Tests.Xen.Builder;

public class KernelImageTests
{
    private const uint Entry = 1, HypercallPage = 2, VirtBase = 3, PaddrOffset = 4, XenVersion = 5, GuestOs = 6, Loader = 8, PaeMode = 9,
        BsdSymtab = 11, ModStartPfn = 16, Phys32Entry = 18;

    private const uint Base = 0xC0000000;

    private static ElfWriter Plain() => new ElfWriter { Entry = 0x100020 }.Load(Base + 0x100000, new byte[0x3000], physical: 0x100000, memorySize: 0x8000);

    private static byte[][] UsualNotes() => [Note(VirtBase, Base), Note(PaddrOffset, 0u), Note(Entry, Base + 0x100040), Note(HypercallPage, Base + 0x101000), Note(PaeMode, "yes"), Note(Loader, "generic")];

    private static KernelFormatException Refused(byte[] file) => Assert.Throws<KernelFormatException>(() => KernelImage.Load(file));

    [Fact]
    public void NotesInASegmentSayWhereTheKernelGoes()
    {
        var kernel = KernelImage.Load(Plain().NoteSegment(UsualNotes()).Build());
        Assert.Equal((Base, Base + 0x100000, Base + 0x108000), (kernel.VirtBase, kernel.Start, kernel.End));
        Assert.Equal(Base + 0x100040, kernel.Entry);
        Assert.Equal(Base + 0x101000, kernel.Parameters.HypercallPage);
        Assert.Equal(PaeMode_ExtendedCr3, kernel.Parameters.Pae);
    }

    private static readonly Dbt.Xen.Builder.PaeMode PaeMode_ExtendedCr3 = Dbt.Xen.Builder.PaeMode.ExtendedCr3;

    [Fact]
    public void NotesOnlyInASectionCountToo()
    {
        var kernel = KernelImage.Load(Plain().Section(".note.Xen", 7, [.. UsualNotes().SelectMany(n => n)]).Build());
        Assert.Equal(Base + 0x100040, kernel.Entry);
    }

    [Fact]
    public void WithoutAnEntryNoteTheFilesEntryCounts()
    {
        byte[] file = new ElfWriter { Entry = 0x20 }.Load(0, new byte[0x1000]).NoteSegment(Note(PaeMode, "yes")).Build();
        var kernel = KernelImage.Load(file);
        Assert.Equal((0u, 0x20u), (kernel.VirtBase, kernel.Entry));
    }

    [Fact]
    public void AnEightByteNumberIsRead()
    {
        byte[] file = new ElfWriter { Entry = Base }.Load(Base, new byte[0x1000], physical: 0)
            .NoteSegment(Note(VirtBase, BitConverter.GetBytes(0xFFFFFFFFC0000000)), Note(PaeMode, "bimodal")).Build();
        Assert.Equal(Base, KernelImage.Load(file).VirtBase);
    }

    [Fact]
    public void ADescriptorThatClaimsTooMuchIsCut()
    {
        byte[] file = new ElfWriter { Entry = 0x20 }.Load(0, new byte[0x1000]).NoteSegment(Note(Entry, 0x40u), Note(PaeMode, "yes"u8.ToArray(), claimedSize: 12)).Build();
        var kernel = KernelImage.Load(file);
        Assert.Equal(0x40u, kernel.Entry);
        Assert.Equal(PaeMode_ExtendedCr3, kernel.Parameters.Pae);
    }

    [Fact]
    public void TheOlderStringIsUnderstood()
    {
        byte[] text = Encoding.ASCII.GetBytes("GUEST_OS=GNU Mach,XEN_VER=xen-3.0,VIRT_BASE=0xC0000000,ELF_PADDR_OFFSET=0xC0000000,HYPERCALL_PAGE=0x2,PAE=yes[extended-cr3],LOADER=generic,BSD_SYMTAB\0");
        byte[] file = new ElfWriter { Entry = Base }.Load(Base, new byte[0x3000])
            .Section("__xen_guest", 1, text).Section(".note.Xen", 7, Note(Entry, 0x12345678u, owner: "name")).Build();
        var kernel = KernelImage.Load(file);
        Assert.Equal((Base, Base, Base + 0x2000), (kernel.Start, kernel.Entry, kernel.Parameters.HypercallPage));
        Assert.True(kernel.Parameters.BsdSymtab);
        Assert.Equal(PaeMode_ExtendedCr3, kernel.Parameters.Pae);
    }

    [Fact]
    public void TheOlderStringsPhysicalOffsetIsItsBaseUnlessSaid()
    {
        byte[] file = new ElfWriter { Entry = Base }.Load(Base, new byte[0x1000]).Section("__xen_guest", 1, "VIRT_BASE=0xC0000000,PAE=yes\0"u8.ToArray()).Build();
        Assert.Equal(Base, KernelImage.Load(file).Start);
    }

    [Fact]
    public void NotesOfAnotherOwnerAreTheLastResort()
    {
        byte[] file = new ElfWriter { Entry = Base }.Load(Base, new byte[0x1000], physical: 0)
            .Section(".note.Xen", 7, [.. Note(VirtBase, Base, "name"), .. Note(PaeMode, "yes[extended-cr3]", "name")]).Build();
        Assert.Equal(Base, KernelImage.Load(file).VirtBase);
    }

    [Fact]
    public void PvhEntryBesideAPvOneDoesNoHarm()
    {
        byte[] file = Plain().NoteSegment([.. UsualNotes(), Note(Phys32Entry, 0x100000u), Note(ModStartPfn, 1u)]).Build();
        var kernel = KernelImage.Load(file);
        Assert.Equal(Base + 0x100040, kernel.Entry);
        Assert.True(kernel.Parameters.ModStartPfn);
    }

    [Fact]
    public void PvhAloneIsRefusedByName()
    {
        byte[] file = Plain().NoteSegment(Note(VirtBase, Base), Note(PaeMode, "yes"), Note(Phys32Entry, 0x100000u)).Build();
        Assert.Contains("PVH", Refused(file).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("no")]
    [InlineData("")]
    public void AKernelWithoutPaeIsRefused(string mode)
    {
        byte[] file = Plain().NoteSegment(Note(VirtBase, Base), Note(Entry, Base + 0x100000), Note(PaeMode, mode)).Build();
        Assert.Contains("without PAE", Refused(file).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ForeignLoadersAndInterfacesAreRefused()
    {
        Assert.Contains("loader", Refused(Plain().NoteSegment([.. UsualNotes(), Note(Loader, "special")]).Build()).Message, StringComparison.Ordinal);
        Assert.Contains("xen-2.0", Refused(Plain().NoteSegment([.. UsualNotes(), Note(XenVersion, "xen-2.0")]).Build()).Message, StringComparison.Ordinal);
        Assert.Equal("linux", KernelImage.Load(Plain().NoteSegment([.. UsualNotes(), Note(Loader, "special"), Note(GuestOs, "linux")]).Build()).Parameters.GuestOs);
    }

    [Fact]
    public void WhatIsNoKernelIsNamed()
    {
        Assert.Contains("empty", Refused([]).Message, StringComparison.Ordinal);
        Assert.Contains("not a kernel", Refused("#!/bin/sh\necho hello\n"u8.ToArray()).Message, StringComparison.Ordinal);
        Assert.Contains("neither Xen notes", Refused(Plain().Build()).Message, StringComparison.Ordinal);
        Assert.Contains("64-bit", Refused(new ElfWriter { Class = 2, Machine = 62 }.Load(0, new byte[64]).Build()).Message, StringComparison.Ordinal);
        Assert.Contains("machine 40", Refused(new ElfWriter { Machine = 40 }.Load(0, new byte[64]).Build()).Message, StringComparison.Ordinal);
        Assert.Contains("type 1", Refused(new ElfWriter { Type = 1 }.Load(0, new byte[64]).Build()).Message, StringComparison.Ordinal);
        Assert.Contains("no segment", Refused(new ElfWriter().NoteSegment(UsualNotes()).Build()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void OverlappingAndImpossibleSegmentsAreRefused()
    {
        ElfWriter overlapping = new ElfWriter { Entry = 0 }.Load(0, new byte[0x1000]).Load(0xFFF, new byte[0x10]).NoteSegment(Note(PaeMode, "yes"));
        Assert.Contains("overlap", Refused(overlapping.Build()).Message, StringComparison.Ordinal);
        ElfWriter beyond = new ElfWriter { Entry = 0xFFFFF000 }.Load(0xFFFFF000, new byte[16], memorySize: 0x2000).NoteSegment(Note(PaeMode, "yes"));
        Assert.Contains("beyond 4 GiB", Refused(beyond.Build()).Message, StringComparison.Ordinal);
        ElfWriter shrinking = new ElfWriter().Load(0, new byte[0x1000], memorySize: 0x800).NoteSegment(Note(PaeMode, "yes"));
        Assert.Contains("larger in the file", Refused(shrinking.Build()).Message, StringComparison.Ordinal);
        ElfWriter high = new ElfWriter { Entry = 0xF5700000 }.Load(0xF5700000, new byte[16], memorySize: 0x200000).NoteSegment(Note(PaeMode, "yes"));
        Assert.Contains("hypervisor", Refused(high.Build()).Message, StringComparison.Ordinal);
        ElfWriter contradictory = new ElfWriter { Entry = 0x1000 }.Load(0x1000, new byte[16], physical: 0).NoteSegment(Note(PaeMode, "yes"), Note(Entry, 0x5000u));
        Assert.Contains("contradict", Refused(contradictory.Build()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void EveryTruncationIsRefusedOrLoads()
    {
        byte[] file = Plain().NoteSegment(UsualNotes()).Section(".symtab", 2, new byte[32], link: 2, entrySize: 16).Section(".strtab", 3, new byte[9]).Build();
        for (int length = 0; length < file.Length; length += length < 400 ? 1 : 37)
        {
            Assert.Throws<KernelFormatException>(() => KernelImage.Load(file[..length]));
        }
    }

    [Fact]
    public void DamagedHeadersNeverThrowAnythingElse()
    {
        byte[] file = Plain().NoteSegment([.. UsualNotes(), Note(BsdSymtab, "yes")]).Section(".symtab", 2, new byte[32], link: 2, entrySize: 16).Section(".strtab", 3, new byte[9]).Build();
        var random = new Random(1);
        for (int round = 0; round < 3000; round++)
        {
            byte[] damaged = (byte[])file.Clone();
            for (int i = 0; i < 3; i++)
            {
                int region = random.Next(3);
                int at = region switch { 0 => random.Next(180), 1 => damaged.Length - 1 - random.Next(220), _ => damaged.Length - 1 - random.Next(600) };
                damaged[at] = random.Next(2) == 0 ? (byte)random.Next(256) : (byte)0xFF;
            }

            try
            {
                _ = KernelImage.Load(damaged);
            }
            catch (KernelFormatException)
            {
            }
        }
    }

    [Fact]
    public void TheSymbolTableLiesBehindTheImage()
    {
        byte[] symbols = [.. Enumerable.Range(1, 32).Select(i => (byte)i)];
        byte[] strings = "\0main\0x\0"u8.ToArray();
        byte[] file = new ElfWriter { Entry = Base }.Load(Base, new byte[0x1001], physical: 0).NoteSegment(Note(VirtBase, Base), Note(PaeMode, "yes"), Note(BsdSymtab, "yes"))
            .Section(".symtab", 2, symbols, link: 2, entrySize: 16).Section(".strtab", 3, strings).Build();
        var kernel = KernelImage.Load(file);
        Assert.NotNull(kernel.Symbols);
        Assert.Equal(Base + 0x1004, kernel.SymbolsStart);
        Assert.Equal(kernel.SymbolsStart + (uint)kernel.Symbols.Size, kernel.End);

        ReadOnlySpan<byte> table = kernel.Symbols.Contents;
        int length = BitConverter.ToInt32(table);
        ReadOnlySpan<byte> elf = table.Slice(4, length);
        Assert.True(elf.StartsWith("\u007FELF"u8));
        Assert.Equal(52u, BitConverter.ToUInt32(elf[32..]));
        Assert.Equal(3, BitConverter.ToUInt16(elf[48..]));
        ReadOnlySpan<byte> symbolHeader = elf[(52 + 40)..], stringHeader = elf[(52 + 80)..];
        Assert.Equal((2u, 2u), (BitConverter.ToUInt32(symbolHeader[4..]), BitConverter.ToUInt32(symbolHeader[24..])));
        Assert.True(elf.Slice(BitConverter.ToInt32(symbolHeader[16..]), 32).SequenceEqual(symbols));
        Assert.True(elf.Slice(BitConverter.ToInt32(stringHeader[16..]), strings.Length).SequenceEqual(strings));
    }

    [Fact]
    public void AStrippedKernelThatWantsSymbolsStartsWithout()
    {
        byte[] file = Plain().NoteSegment([.. UsualNotes(), Note(BsdSymtab, "yes")]).Build();
        Assert.Null(KernelImage.Load(file).Symbols);
    }
}
