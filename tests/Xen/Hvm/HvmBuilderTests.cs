using System.Text;
using Dbt.Tests.Xen.Builder;
using Dbt.Translator.State;
using Dbt.Xen.Builder;
using Dbt.Xen.Hvm;
using static Dbt.Tests.Xen.Builder.ElfWriter;

namespace Dbt.Tests.Xen.Hvm;

/// <summary>Start of day by docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h.</summary>
public class HvmBuilderTests
{
    [Fact]
    public unsafe void TheFirstProcessorStartsAsTheAbiSays()
    {
        using var f = new HvmFixture();
        CpuState* cpu = f.Vcpu.State;
        Assert.Equal(HvmFixture.Entry, cpu->Eip);
        Assert.Equal(1u, cpu->Cr0 & ~0x10u);
        Assert.Equal(0u, cpu->Cr4);
        Assert.Equal(0u, cpu->Eflags & (Flags.If | Flags.Tf | Flags.Vm));
        Assert.Equal((0u, 0x67u), (cpu->Tr.Base, cpu->Tr.High));
        foreach (SegmentIndex index in (ReadOnlySpan<SegmentIndex>)[SegmentIndex.Cs, SegmentIndex.Ds, SegmentIndex.Es, SegmentIndex.Ss])
        {
            Assert.Equal((0u, uint.MaxValue), (cpu->Segments[index].Base, cpu->Segments[index].High));
        }

        Assert.Equal(0x336EC578u, f.Get(cpu->Gpr[(int)Gpr.Ebx]));
    }

    [Fact]
    public unsafe void StartInfoLeadsToEverything()
    {
        byte[] ramdisk = [.. Enumerable.Range(0, 5000).Select(i => (byte)i)];
        using var f = new HvmFixture(ramdisk: ramdisk, commandLine: "console=hvc0 quiet");
        uint info = f.Vcpu.State->Gpr[(int)Gpr.Ebx];
        Assert.Equal((1u, 0u, 1u), (f.Get(info + 4), f.Get(info + 8), f.Get(info + 12)));
        uint module = (uint)f.GetLong(info + 16);
        Assert.Equal(5000ul, f.GetLong(module + 8));
        uint at = (uint)f.GetLong(module);
        Assert.Equal(ramdisk[..4096], f.At(at)[..4096].ToArray());
        Assert.Equal(ramdisk[4096..], f.At(at + 4096)[..904].ToArray());
        Span<byte> text = f.At((uint)f.GetLong(info + 24));
        Assert.Equal("console=hvc0 quiet", Encoding.ASCII.GetString(text[..text.IndexOf((byte)0)]));

        uint map = (uint)f.GetLong(info + 40);
        Assert.Equal((0ul, (ulong)HvmFixture.MemoryMiB << 20, 1u), (f.GetLong(map), f.GetLong(map + 8), f.Get(map + 16)));
        Assert.Equal(f.Domain.Hvm!.MemoryMap.Count, (int)f.Get(info + 48));
    }

    [Fact]
    public unsafe void StartInfoIsNextToTheKernelHoweverLargeTheRamdisk()
    {
        // i386 Linux reads it through page tables that reach little beyond its own end.
        using HvmFixture small = new(ramdisk: new byte[1]), large = new(ramdisk: new byte[4 << 20]);
        Assert.Equal(small.Vcpu.State->Gpr[(int)Gpr.Ebx], large.Vcpu.State->Gpr[(int)Gpr.Ebx]);
        Assert.True(large.GetLong((uint)large.GetLong(large.Vcpu.State->Gpr[(int)Gpr.Ebx] + 16)) > large.Vcpu.State->Gpr[(int)Gpr.Ebx]);
    }

    [Fact]
    public unsafe void TheAcpiTablesAreWhole()
    {
        using var f = new HvmFixture(vcpus: 3);
        uint rsdp = (uint)f.GetLong(f.Vcpu.State->Gpr[(int)Gpr.Ebx] + 32);
        Assert.Equal("RSD PTR ", Encoding.ASCII.GetString(f.At(rsdp)[..8]));
        Assert.Equal((0, 0), (Sum(f, rsdp, 20), Sum(f, rsdp, 36)));
        uint xsdt = (uint)f.GetLong(rsdp + 24);
        uint fadt = (uint)f.GetLong(xsdt + 36), madt = (uint)f.GetLong(xsdt + 44), dsdt = (uint)f.GetLong(fadt + 140);
        foreach ((uint table, string name) in new[] { (xsdt, "XSDT"), (fadt, "FACP"), (madt, "APIC"), (dsdt, "DSDT") })
        {
            Assert.Equal(name, Encoding.ASCII.GetString(f.At(table)[..4]));
            Assert.Equal(0, Sum(f, table, (int)f.Get(table + 4)));
        }

        // Hardware-reduced; the processors by APIC ids 0, 2 and 4.
        Assert.NotEqual(0u, f.Get(fadt + 112) & (1 << 20));
        Assert.Equal([0, 2, 4], Enumerable.Range(0, 3).Select(i => (int)f.At(madt + 44 + ((uint)i * 8))[3]));
    }

    [Fact]
    public void TheRingsArePagesOutsideOfRam()
    {
        using var f = new HvmFixture();
        HvmParameters parameters = f.Domain.Hvm!.Parameters;
        Assert.Equal(f.Domain.StoreMfn, f.Domain.Hvm.Physmap[parameters[HvmParameters.StorePfn]]);
        Assert.Equal(f.Domain.ConsoleMfn, f.Domain.Hvm.Physmap[parameters[HvmParameters.ConsolePfn]]);
        Assert.Equal((f.Domain.StorePort, f.Domain.ConsolePort), ((uint)parameters[HvmParameters.StorePort], (uint)parameters[HvmParameters.ConsolePort]));
        Assert.DoesNotContain(f.Domain.Hvm.MemoryMap, range => range.Type == MemoryRange.Ram && parameters[HvmParameters.StorePfn] << 12 < range.Start + range.Bytes);
    }

    [Theory]
    [InlineData(GuestType.ByKernel, false, true)]
    [InlineData(GuestType.ByKernel, true, false)]
    [InlineData(GuestType.Pvh, true, true)]
    [InlineData(GuestType.Pv, true, false)]
    public void TheNotesDecideWhereTheConfigurationDoesnt(GuestType type, bool hasPvEntry, bool isPvh)
    {
        ElfWriter kernel = new ElfWriter { Entry = 0x100000 }.Load(0x100000, [0xF4]);
        byte[] file = (hasPvEntry
            ? kernel.NoteSegment(Note(18, 0x100000u), Note(1, 0x100000u), Note(3, 0u), Note(9, "yes"))
            : kernel.NoteSegment(Note(18, 0x100000u))).Build();
        DomainPlan plan = DomainBuilder.Prepare(new BuildRequest { Kernel = file, MemoryMiB = 16, Type = type });
        Assert.Equal(isPvh, plan is HvmPlan);
    }

    [Theory]
    [InlineData(GuestType.Pvh, 3u, "no PHYS32_ENTRY note")]
    [InlineData(GuestType.Pvh, 18u, "not in its image")]
    [InlineData(GuestType.Pv, 18u, "only be started by PVH")]
    public void AKernelOfAnotherKindIsRefused(GuestType type, uint note, string reason)
    {
        byte[] file = new ElfWriter { Entry = 0x100000 }.Load(0x100000, [0xF4]).NoteSegment(Note(note, 0x200000u)).Build();
        var refusal = Assert.ThrowsAny<DomainBuildException>(() => DomainBuilder.Prepare(new BuildRequest { Kernel = file, MemoryMiB = 16, Type = type }));
        Assert.Contains(reason, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TooLittleMemoryIsRefused()
    {
        byte[] file = HvmFixture.Kernel([0xF4], memorySize: 64 << 20);
        var refusal = Assert.Throws<DomainBuildException>(() => DomainBuilder.Prepare(new BuildRequest { Kernel = file, MemoryMiB = 16 }));
        Assert.Contains("need 66 MiB", refusal.Message, StringComparison.Ordinal);
    }

    private static int Sum(HvmFixture f, uint address, int length)
    {
        byte sum = 0;
        foreach (byte b in f.At(address)[..length])
        {
            sum += b;
        }

        return sum;
    }
}
