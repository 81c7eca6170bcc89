using Dbt.Devices.Snapshot;
using Dbt.Tests.Xen.Hvm;
using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Snapshot;

namespace Dbt.Tests.Snapshot;

/// <summary>Domains of one saved guest that share its memory until they write it.</summary>
public sealed unsafe class CloneTests : IDisposable
{
    private const uint CodePage = HvmFixture.Entry >> 12;

    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-clone-").FullName;
    private readonly Hypervisor _machine = new(256 << 20);

    public static TheoryData<EngineKind> Engines => [EngineKind.Interpreter, EngineKind.Quick, EngineKind.Optimized, EngineKind.Tiered];

    public void Dispose()
    {
        _machine.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void EachGoesOnByItselfAndLeavesNothing(EngineKind engine)
    {
        byte[] saved = SaveCounter();
        uint free = _machine.Machine.FreeFrames;
        Domain[] clones = Clone(saved, 3, engine);
        uint begun = Count(clones[2]);
        Assert.True(begun > 0);
        clones[0].Resume();
        clones[1].Resume();
        Assert.True(SpinWait.SpinUntil(() => Count(clones[0]) != begun && Count(clones[1]) != begun, TimeSpan.FromMinutes(2)));
        clones[0].Pause();
        uint stopped = Count(clones[0]), going = Count(clones[1]);
        Assert.True(SpinWait.SpinUntil(() => Count(clones[1]) != going, TimeSpan.FromMinutes(2)));
        Assert.Equal((stopped, begun), (Count(clones[0]), Count(clones[2])));
        Array.ForEach(clones, static clone => clone.Dispose());
        Assert.Equal(free, _machine.Machine.FreeFrames);
        AssertZero();
    }

    [Fact]
    public void AFrameThatIsGivenUpIsNobodysUntilTheCloneEnds()
    {
        byte[] saved = SaveCounter();
        uint free = _machine.Machine.FreeFrames;
        Domain[] clones = Clone(saved, 2, EngineKind.Interpreter);
        uint left = _machine.Machine.FreeFrames;
        Assert.Contains(Page(clones[0], CodePage).ToArray(), static b => b != 0);
        Assert.Equal(1, clones[0].Memory.Depopulate([CodePage]));
        clones[0].Memory.SettleHeld();
        Assert.Equal(left, _machine.Machine.FreeFrames);

        // Another page in its place is zero, not the file's.
        Assert.True(clones[0].Memory.TryPopulate(CodePage));
        Assert.DoesNotContain(Page(clones[0], CodePage).ToArray(), static b => b != 0);
        Assert.Contains(Page(clones[1], CodePage).ToArray(), static b => b != 0);
        clones[0].Dispose();
        Assert.Contains(Page(clones[1], CodePage).ToArray(), static b => b != 0);
        clones[1].Dispose();
        Assert.Equal(free, _machine.Machine.FreeFrames);
        AssertZero();
    }

    [Fact]
    public void AParavirtualOneIsRefusedUnlessItSuspendedItself()
    {
        DomainHeader header = Header(translated: false, pages: 16);
        Assert.Contains("paravirtual", Assert.Throws<SnapshotException>(() => new MemoryImage(header)).Message, StringComparison.Ordinal);
        using var image = new MemoryImage(header with { Kind = ImageKind.Suspended });

        image.Page((1 << 24) - 1)[0] = 1;
        Assert.Throws<SnapshotException>(() => image.Page(1 << 24)[0]);
    }

    /// <summary>Pages of numbers that no guest can have, or that are there twice, in a file that means harm.</summary>
    [Fact]
    public void NumbersThatAreNoneAreRefused()
    {
        uint free = _machine.Machine.FreeFrames;
        foreach ((uint first, uint length) in ((uint, uint)[])[(0, 32), ((1 << 24) - 16, 32), (uint.MaxValue - 31, 32), (1 << 24, 16), (100, 8), (0, 1)])
        {
            using var stream = new MemoryStream();
            var writer = new StateWriter(stream);
            writer.Section(SectionType.Frames, 0, section =>
            {
                section.UInt32(1);
                section.UInt32(0);
            });
            writer.Section(SectionType.Frames, 1, section =>
            {
                section.UInt32(first == 100 ? 2u : 1);
                for (int run = 0; run < (first == 100 ? 2 : 1); run++)
                {
                    section.UInt32(first);
                    section.UInt32(length);
                    for (uint i = 0; i < length; i++)
                    {
                        section.UInt32(i);
                    }
                }
            });
            writer.End();
            stream.Position = 0;
            DomainHeader header = Header(translated: false, pages: 64) with { Kind = ImageKind.Suspended };
            using var image = new MemoryImage(header);
            using var restorer = new DomainRestorer(_machine, header, new EngineOptions { Kind = EngineKind.Interpreter }, "harm", Guid.NewGuid());
            Assert.Throws<SnapshotException>(() => restorer.Populate(image, StateReader.Read(stream)));
        }

        Assert.Equal(free, _machine.Machine.FreeFrames);
    }

    [Fact]
    public void MorePagesThanItMayHaveAreRefused()
    {
        DomainHeader header = Header(translated: true, pages: 2);
        using var image = new MemoryImage(header);
        image.Page(7)[0] = 1;
        image.Page(7)[1] = 1;
        image.Page(9)[0] = 1;
        Assert.Equal(2u, image.PageCount);
        Assert.Throws<SnapshotException>(() => image.Page(11)[0]);
        Assert.Throws<SnapshotException>(() => image.Page(uint.MaxValue)[0]);
    }

    private static DomainHeader Header(bool translated, uint pages) => new()
    {
        Kind = ImageKind.Live,
        Name = "guest",
        Uuid = Guid.NewGuid(),
        IsTranslated = translated,
        Id = 1,
        Vcpus = 1,
        MaxPages = pages,
        Pages = pages,
    };

    private static uint Count(Domain domain) => BitConverter.ToUInt32(Page(domain, CountingKernel.Counter >> 12));

    private static Span<byte> Page(Domain domain, uint gfn) => new(domain.Hypervisor.Machine.Frame(domain.Hvm!.Physmap[gfn]), 4096);

    private Domain[] Clone(byte[] saved, int count, EngineKind engine)
    {
        using var reader = new SnapshotReader(new MemoryStream(saved));
        using var image = new MemoryImage(reader.Header);
        StateReader state = reader.Read(image, null, CancellationToken.None);
        var clones = new Domain[count];
        for (int i = 0; i < count; i++)
        {
            StateReader own = state.Copy();
            using var restorer = new DomainRestorer(_machine, reader.Header, new EngineOptions { Kind = engine }, $"clone{i}", Guid.NewGuid());
            restorer.Populate(image, own);
            restorer.Finish(own);
            clones[i] = restorer.Domain;
        }

        return clones;
    }

    // Whoever gets the frames next finds nothing in them.
    private void AssertZero()
    {
        const int order = 12;
        var zero = new byte[4096 << order];
        while (_machine.Machine.TryAllocateContiguous(order, out uint first))
        {
            Assert.True(new ReadOnlySpan<byte>(_machine.Machine.Frame(first), zero.Length).SequenceEqual(zero));
        }
    }

    private byte[] SaveCounter()
    {
        string kernel = Path.Combine(_folder, "kernel");
        File.WriteAllBytes(kernel, CountingKernel.Make());
        using var guest = new MovingGuest(Dbt.Cli.Config.GuestConfigReader.Read(null, [$"kernel={kernel}", "type=pvh", "memory=16"]), EngineKind.Interpreter);
        Assert.True(SpinWait.SpinUntil(() => guest.Domain.Vcpus[0].EngineStatistics is { InterpretedInstructions: > 10_000 }, TimeSpan.FromMinutes(2)));
        return guest.Save();
    }
}
