using Dbt.Cli.Config;
using Dbt.Cli.Running;
using Dbt.Tests.Snapshot;
using Dbt.Tests.Xen.Hvm;
using Dbt.Translator;
using Dbt.Translator.State;
using Dbt.Xen;
using Dbt.Xen.Cores;

namespace Dbt.Tests.Xen.Cores;

/// <summary>What is in a core is what the domain has.</summary>
[System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
public sealed unsafe class DomainCoreTests
{
    private const int EaxAt = 24, EbpAt = 20, CsAt = 36, EflagsAt = 40, EspAt = 44, Cr3At = 2716 + 12, TrapsAt = 584;

    public static TheoryData<EngineKind> Engines => [EngineKind.Interpreter, EngineKind.Quick, EngineKind.Optimized, EngineKind.Tiered];

    [Theory]
    [MemberData(nameof(Engines))]
    public void OfAParavirtualGuestItHasAllPagesAndRegisters(EngineKind engine)
    {
        GuestConfig config = GuestConfigReader.Read(null, ["memory=16", "vcpus=3", "extra='run=selftest processors;bench all 100000'"]);
        using var guest = new MovingGuest(config, engine);
        Assert.True(SpinWait.SpinUntil(() => guest.Transcript.Text.Contains("selftest: ", StringComparison.Ordinal), TimeSpan.FromMinutes(2)), guest.Transcript.Text);
        Domain domain = guest.Domain;
        domain.Pause();
        CoreReader core = Dump(domain);
        Assert.Equal([".note.Xen", ".xen_prstatus", ".xen_shared_info", ".xen_pages", ".xen_p2m", ".shstrtab"], core.Sections);
        Assert.Equal(0xF00FEBEDul, core.Magic);
        Assert.Equal(domain.Vcpus.Count(static vcpu => vcpu.IsInitialised), core.Vcpus);
        Assert.InRange(core.Vcpus, 2, 3);
        Assert.Equal("xen-3.0-x86_32p hvm-3.0-x86_32 hvm-3.0-x86_32p ", core.Capabilities);
        Assert.Equal((int)domain.Memory.PageCount, core.PageCount);
        var known = new HashSet<ulong>();
        for (int n = 0; n < core.PageCount; n++)
        {
            (ulong pfn, ulong mfn) = core.Place(n);
            Assert.True(n == 0 || pfn > core.Place(n - 1).Pfn, $"page {n} is out of order");
            Assert.True(domain.Memory.Owns((uint)mfn) && known.Add(mfn), $"frame {mfn:x} is not the guest's, or twice there");
            Assert.Equal((uint)pfn, domain.Hypervisor.MachineToPhys[mfn]);
            Assert.True(core.Page(n).SequenceEqual(new ReadOnlySpan<byte>(domain.Hypervisor.Machine.Frame((uint)mfn), 4096)), $"page {n}");
        }

        Assert.True(core.SharedInfo.SequenceEqual(new ReadOnlySpan<byte>(domain.SharedInfo, 4096)));
        CpuState* cpu = domain.Vcpus[0].State;
        Assert.Equal(cpu->Eip, core.Eip(0));
        Assert.Equal(cpu->Gpr[(int)Gpr.Eax], core.Register(0, EaxAt));
        Assert.Equal(cpu->Gpr[(int)Gpr.Ebp], core.Register(0, EbpAt));
        Assert.Equal(cpu->Gpr[(int)Gpr.Esp], core.Register(0, EspAt));
        Assert.Equal(cpu->Segments[SegmentIndex.Cs].Selector, (ushort)core.Register(0, CsAt));
        Assert.Equal(LazyFlags.Read(cpu), core.Register(0, EflagsAt));
        uint cr3 = core.Context(0, Cr3At);
        Assert.True(domain.Memory.Owns((cr3 >> 12) | (cr3 << 20)), $"CR3 {cr3:x8} leads to no frame of the guest's");

        // It has handlers for page faults, and they are in its kernel.
        Assert.True(core.Context(0, TrapsAt + (14 * 8) + 4) >= 0xC0000000);
        domain.Resume();
    }

    [Fact]
    public void OfAnAutoTranslatedDomainPagesGoByGuestFrame()
    {
        using var fixture = new HvmFixture(vcpus: 2);
        for (uint i = 0; i < 100; i++)
        {
            fixture.Put(0x200000 + (i * 0x5000), 0xC0DE0000 + i);
        }

        fixture.Vcpu.State->Gpr[(int)Gpr.Eax] = 0x12345678;
        CoreReader core = Dump(fixture.Domain);
        Assert.Equal([".note.Xen", ".xen_prstatus", ".xen_shared_info", ".xen_pages", ".xen_pfn", ".shstrtab"], core.Sections);
        Assert.Equal(0xF00FEBEEul, core.Magic);
        Assert.Equal(1, core.Vcpus);
        Assert.Equal(HvmFixture.Entry, core.Eip(0));
        Assert.Equal(0x12345678u, core.Register(0, EaxAt));
        for (int n = 0; n < core.PageCount; n++)
        {
            ulong gfn = core.Place(n).Pfn;
            Assert.True(n == 0 || gfn > core.Place(n - 1).Pfn, $"page {n} is out of order");
            Assert.True(core.Page(n).SequenceEqual(fixture.At((uint)gfn << 12)), $"guest frame {gfn:x}");
        }

        Assert.Equal(0xC0DE0063u, BitConverter.ToUInt32(core.PageOf((0x200000 + (99 * 0x5000)) >> 12)));
    }

    [Fact]
    public void WhoEndsItLeavesNoFile()
    {
        using var fixture = new HvmFixture();
        string folder = Directory.CreateTempSubdirectory("dbt-core").FullName;
        try
        {
            using var source = new CancellationTokenSource();
            string path = Path.Combine(folder, "a.core");
            Assert.Throws<OperationCanceledException>(() => CoreFile.Write(path, fixture.Domain, runs: false, (pages, _) =>
            {
                if (pages > 0)
                {
                    source.Cancel();
                }
            }, source.Token));
            Assert.Empty(Directory.GetFiles(folder));
            Assert.Contains("is a folder", Assert.Throws<IOException>(() => CoreFile.Write(folder, fixture.Domain, runs: false, static (_, _) => { }, default)).Message, StringComparison.Ordinal);

            // It is held no more.
            CoreFile.Write(path, fixture.Domain, runs: true, static (_, _) => { }, default);
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
            Assert.Equal([path], Directory.GetFiles(folder));
            _ = new CoreReader(File.ReadAllBytes(path));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static CoreReader Dump(Domain domain)
    {
        using var stream = new MemoryStream();
        DomainCore.Capture(domain).Write(stream, null, CancellationToken.None);
        return new CoreReader(stream.ToArray());
    }
}
