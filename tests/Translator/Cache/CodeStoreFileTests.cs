using System.Security.Cryptography;
using Dbt.Translator;
using Dbt.Translator.Cache;
using Dbt.Translator.Emit;
using static Dbt.Tests.Translator.Cache.StoredPrograms;

#pragma warning disable CA1416 // there is no Windows build

namespace Dbt.Tests.Translator.Cache;

/// <summary>Compiled code in a file: what comes back runs, and what is not as it was written is not used.</summary>
public sealed unsafe class CodeStoreFileTests : IDisposable
{
    private const int VersionAt = 8, DigestAt = 40, BodyAt = 72;

    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-test").FullName;

    private string Path => System.IO.Path.Combine(_folder, "kernel.code");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [X64Fact]
    public void WhatWasSavedRunsWithoutBeingCompiled()
    {
        var store = new CodeStore();
        RunSum(store, out uint sum);
        uint called = RunCaller(store, added: 10, out _), mixed = RunMixed(store, out _);
        CodeStoreFile.Save(Path, "test", store);
        var later = new CodeStore();
        CodeFileSummary summary = CodeStoreFile.Load(Path, later);
        Assert.Equal(("test", store.Count, store.Count, true), (summary.Title, summary.Regions, summary.WithCode, summary.IsCurrent));
        Assert.Equal(store.Count, later.Count);
        EngineStatistics statistics = RunSum(later, out uint again);
        Assert.Equal((0L, sum), (statistics.RegionsCompiled, again));
        Assert.True(statistics.RegionsTakenOver > 0);
        Assert.Equal(called, RunCaller(later, added: 10, out statistics));
        Assert.Equal(0, statistics.RegionsCompiled);
        Assert.Equal(mixed, RunMixed(later, out statistics));
        Assert.Equal(0, statistics.RegionsCompiled);
        Assert.Equal(0, later.Additions);
    }

    [X64Fact]
    public void WhatCameFromAFileIsSavedAgainAsItWas()
    {
        var store = new CodeStore();
        RunMixed(store, out _);
        CodeStoreFile.Save(Path, "test", store);
        var second = new CodeStore();
        CodeStoreFile.Load(Path, second);
        RunMixed(second, out _);
        CodeStoreFile.Save(Path, "test", second);
        var third = new CodeStore();
        Assert.Equal(store.Count, CodeStoreFile.Load(Path, third).WithCode);
        RunMixed(third, out EngineStatistics statistics);
        Assert.Equal(0, statistics.RegionsCompiled);
    }

    [X64Fact]
    public void ADamagedFileIsRefusedAsAWhole()
    {
        byte[] file = Saved();
        var random = new Random(1);
        for (int i = 0; i < 200; i++)
        {
            byte[] damaged = [.. file];
            int at = i < BodyAt ? i : random.Next(BodyAt, file.Length);
            damaged[at] ^= (byte)(1 << random.Next(8));
            if (at is < VersionAt or >= DigestAt)
            {
                AssertRefused(damaged);
            }
        }

        foreach (int length in (ReadOnlySpan<int>)[0, 1, VersionAt, DigestAt, BodyAt - 1, BodyAt, BodyAt + 1, file.Length / 2, file.Length - 1])
        {
            AssertRefused(file[..length]);
        }

        AssertRefused([.. file, 0]);
    }

    [X64Fact]
    public void AFileThatMakesNoSenseIsRefusedThoughItsDigestIsRight()
    {
        byte[] file = Saved();
        var random = new Random(2);
        for (int i = 0; i < 50; i++)
        {
            byte[] nonsense = file[..(BodyAt + random.Next(300))];
            random.NextBytes(nonsense.AsSpan(BodyAt));
            SHA256.HashData(nonsense.AsSpan(BodyAt)).CopyTo(nonsense.AsSpan(DigestAt));
            AssertRefused(nonsense);
        }
    }

    [X64Fact]
    public void OfAnotherVersionOnlyWhatWasCompiledIsUsed()
    {
        byte[] file = Saved();
        file[VersionAt] ^= 1;
        File.WriteAllBytes(Path, file);
        var store = new CodeStore();
        CodeFileSummary summary = CodeStoreFile.Load(Path, store);
        Assert.False(summary.IsCurrent);
        Assert.Equal(summary.Regions, store.Count);
        Assert.All(store.Snapshot(), region => Assert.Null(region.Code));
        EngineStatistics statistics = RunSum(store, out uint sum);
        Assert.Equal(SumOf(1), sum);
        Assert.True(statistics.RegionsCompiled > 0);
        Assert.Equal(0, statistics.RegionsTakenOver);

        // The same regions, not others in addition.
        Assert.Equal(summary.Regions, store.Count);
    }

    [X64Fact]
    public void ARegionThatWasHotBeforeIsCompiledBeforeItIsHotAgain()
    {
        byte[] file = Saved();
        file[VersionAt] ^= 1;
        File.WriteAllBytes(Path, file);
        var store = new CodeStore();
        CodeStoreFile.Load(Path, store);
        Assert.True(RunTiered(store, RunningLong).RegionsCompiled > 0);
        Assert.Equal(0, RunTiered(new CodeStore(), RunningLong).RegionsCompiled);

        static EngineStatistics RunTiered(CodeStore store, uint rounds)
        {
            using var platform = new TestPlatform();
            WriteSum(platform, step: 1);
            using Engine engine = EngineFactory.Create(
                new EngineOptions { Store = store, BackgroundCompile = false, RegionThreshold = int.MaxValue, EarlyRegionThreshold = 1 << 30, CompileShare = 100 }, platform, platform.Cpu);
            for (uint round = 0; round < rounds; round++)
            {
                Run(engine, platform);
            }

            return engine.Statistics;
        }
    }

    [X64Fact]
    public void AShapeDecodesToTheRegionThatItIsOf()
    {
        var store = new CodeStore();
        RunSum(store, out _);
        RunCaller(store, added: 10, out _);
        RunMixed(store, out _);
        foreach (StoredRegion stored in store.Snapshot())
        {
            Region region = stored.Shape.ToRegion(stored.Shape.Pages.ToDictionary(page => page, _ => 0L));
            var target = new EmitTarget(Optimize: true, Link: true, Counts: false);
            Assert.Equal(stored.Shape.Key, RegionShape.Of(region, target).Key);
            Assert.Equal(stored.Code!.Sites, RegionEmitter.Emit(region, target).Sites.ToArray());
        }
    }

    [X64Fact]
    public void TheFileIsItsOwnersAloneAndNothingElseIsLeft()
    {
        Saved();
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path));
        Assert.Equal([Path], Directory.GetFiles(_folder));
        File.SetUnixFileMode(Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupWrite);
        Assert.Throws<InvalidDataException>(() => CodeStoreFile.Load(Path, new CodeStore()));
    }

    [X64Fact]
    public void WhatNobodyUsesForManyRunsIsForgotten()
    {
        Saved();
        int runs = 0;
        while (true)
        {
            var store = new CodeStore();
            if (CodeStoreFile.Load(Path, store).Regions == 0)
            {
                break;
            }

            Assert.InRange(++runs, 1, 20);
            CodeStoreFile.Save(Path, "test", store);
        }

        Assert.InRange(runs, 2, 20);
    }

    private byte[] Saved()
    {
        var store = new CodeStore();
        RunSum(store, out _);
        CodeStoreFile.Save(Path, "test", store);
        return File.ReadAllBytes(Path);
    }

    private void AssertRefused(byte[] file)
    {
        File.WriteAllBytes(Path, file);
        var store = new CodeStore();
        Assert.Throws<InvalidDataException>(() => CodeStoreFile.Load(Path, store));
    }

    private const uint RunningLong = 20_000;
}
