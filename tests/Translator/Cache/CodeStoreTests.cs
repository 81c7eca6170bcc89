using Dbt.Translator;
using Dbt.Translator.Cache;
using Dbt.Translator.State;
using static Dbt.Tests.Translator.Cache.StoredPrograms;

namespace Dbt.Tests.Translator.Cache;

/// <summary>Compiled code that several engines share: what is taken over, and what must not be.</summary>
public sealed unsafe class CodeStoreTests
{
    [Fact]
    public void ASecondEngineTakesOverWhatTheFirstCompiled()
    {
        var store = new CodeStore();
        EngineStatistics first = RunSum(store, out uint sum);
        Assert.True(first.RegionsCompiled > 0);
        Assert.Equal(0, first.RegionsTakenOver);
        Assert.Equal(first.RegionsCompiled, store.Count);
        EngineStatistics second = RunSum(store, out uint again);
        Assert.Equal(0, second.RegionsCompiled);
        Assert.Equal(first.RegionsCompiled, second.RegionsTakenOver);
        Assert.True(second.CompileMillisecondsSaved > 0);
        Assert.Equal(sum, again);
        Assert.Equal(first.OptimizedInstructions, second.OptimizedInstructions);
    }

    [Fact]
    public void OtherBytesAtTheSamePlaceAreCompiledForThemselves()
    {
        var store = new CodeStore();
        RunSum(store, out uint plain);
        EngineStatistics other = RunSum(store, out uint doubled, step: 2);
        Assert.True(other.RegionsCompiled > 0);
        Assert.Equal(2 * plain, doubled);

        // Both are there now.
        Assert.Equal(0, RunSum(store, out uint again).RegionsCompiled);
        Assert.Equal(plain, again);
        Assert.Equal(0, RunSum(store, out again, step: 2).RegionsCompiled);
        Assert.Equal(doubled, again);
    }

    [Fact]
    public void OtherOptionsAndOtherRingsShareNothing()
    {
        var store = new CodeStore();
        RunSum(store, out _);
        Assert.Equal(0, RunSum(store, out _, options: new EngineOptions { Kind = EngineKind.Optimized, WarmUp = 0, Store = store, LinkBlocks = false }).RegionsTakenOver);
        Assert.Equal(0, RunSum(store, out _, ring: 0).RegionsTakenOver);
    }

    [Fact]
    public void CodeRewrittenWithTheSameBytesIsNotCompiledAgain()
    {
        using var platform = new TestPlatform();
        WriteSum(platform, step: 1);
        var store = new CodeStore();
        byte[] bytes = new Span<byte>(platform.Memory + Code, 64).ToArray();
        using Engine engine = EngineFactory.Create(Options(store), platform, platform.Cpu);
        Run(engine, platform);
        long compiled = engine.Statistics.RegionsCompiled;
        platform.Write(Code, bytes);
        Run(engine, platform);
        Assert.True(engine.Statistics.Invalidations > 0);
        Assert.Equal(compiled, engine.Statistics.RegionsCompiled);
        Assert.True(engine.Statistics.RegionsTakenOver > 0);
        Assert.Equal(Rounds * (Rounds + 1) / 2, platform.Cpu->Gpr[(int)Gpr.Eax]);

        // With others it is, and the old code is not run.
        platform.Write(Code + ImmediateOffset, 3);
        Run(engine, platform);
        Assert.True(engine.Statistics.RegionsCompiled > compiled);
        Assert.NotEqual(Rounds * (Rounds + 1) / 2, platform.Cpu->Gpr[(int)Gpr.Eax]);
    }

    [Fact]
    public void CodeThatMovesToAnotherFrameIsNotCompiledAgain()
    {
        using var platform = new TestPlatform();
        WriteSum(platform, step: 1);
        var store = new CodeStore();
        using Engine engine = EngineFactory.Create(Options(store), platform, platform.Cpu);
        Run(engine, platform);
        long compiled = engine.Statistics.RegionsCompiled;
        const uint elsewhere = 0x200000;
        platform.Write(elsewhere, new ReadOnlySpan<byte>(platform.Memory + Code, 4096));
        platform.Map(Code, elsewhere);
        Run(engine, platform);
        Assert.Equal(compiled, engine.Statistics.RegionsCompiled);
        Assert.True(engine.Statistics.RegionsTakenOver > 0);

        // Writes to the new frame are noticed, and those to the old one are of no account.
        platform.Write(elsewhere + ImmediateOffset, 3);
        platform.Write(Code + ImmediateOffset, 5);
        Run(engine, platform);
        Assert.Equal(SumOf(3), platform.Cpu->Gpr[(int)Gpr.Eax]);
    }

    [Fact]
    public void ARegionWhoseSecondPageDiffersIsNotTakenOver()
    {
        var store = new CodeStore();
        Assert.Equal(10u * Rounds, RunCaller(store, added: 10, out EngineStatistics first));
        Assert.True(first.RegionsCompiled > 0);
        Assert.Equal(10u * Rounds, RunCaller(store, added: 10, out EngineStatistics same));
        Assert.Equal(0, same.RegionsCompiled);
        Assert.Equal(11u * Rounds, RunCaller(store, added: 11, out EngineStatistics other));
        Assert.True(other.RegionsCompiled > 0);
    }

    [Fact]
    public void ARegionWithAPageThatIsNotThereIsNotTakenOver()
    {
        var store = new CodeStore();
        RunCaller(store, added: 10, out _);
        using var platform = new TestPlatform();
        WriteCaller(platform, added: 10);
        platform.Protect(Function, PageRights.None);
        using Engine engine = EngineFactory.Create(Options(store), platform, platform.Cpu);
        Run(engine, platform);
        Assert.Equal(Vector.PageFault, Assert.Single(platform.Faults).Vector);
        Assert.Equal(Function, platform.Cpu->Eip);
    }

    [Fact]
    public void FloatingPointStubsAndHelpersAreSharedToo()
    {
        var store = new CodeStore();
        uint first = RunMixed(store, out EngineStatistics compiled), second = RunMixed(store, out EngineStatistics taken);
        Assert.True(compiled.RegionsCompiled > 0);
        Assert.Equal(0, taken.RegionsCompiled);
        Assert.Equal(first, second);
        Assert.NotEqual(0u, first);
    }

    [Fact]
    public void EnginesOnThreadsOfTheirOwnShareOneStore()
    {
        var store = new CodeStore();
        const int engines = 6;
        var sums = new uint[engines];
        var statistics = new EngineStatistics[engines];
        var threads = new Thread[engines];
        using var start = new Barrier(engines);
        for (int i = 0; i < engines; i++)
        {
            int number = i;
            threads[i] = new Thread(() =>
            {
                start.SignalAndWait();
                statistics[number] = RunSum(store, out sums[number], step: 1 + (uint)(number % 2));
            });
            threads[i].Start();
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        for (int i = 0; i < engines; i++)
        {
            Assert.Equal(SumOf(1 + (uint)(i % 2)), sums[i]);
        }

        // Nobody compiled what another had, or was at.
        Assert.Equal(store.Count, statistics.Sum(one => one.RegionsCompiled));
    }

    [Fact]
    public void ADroppedTranslationLeavesTheCodeToOthers()
    {
        var store = new CodeStore();
        using var first = new TestPlatform();
        using var second = new TestPlatform();
        WriteSum(first, step: 1);
        WriteSum(second, step: 1);
        using Engine one = EngineFactory.Create(Options(store), first, first.Cpu), other = EngineFactory.Create(Options(store), second, second.Cpu);
        Run(one, first);
        Run(other, second);
        first.Write(Code + ImmediateOffset, 3);
        for (int i = 0; i < 4; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            Run(other, second);
            Assert.Equal(SumOf(1), second.Cpu->Gpr[(int)Gpr.Eax]);
            Run(one, first);
            Assert.Equal(SumOf(3), first.Cpu->Gpr[(int)Gpr.Eax]);
        }
    }

    [Fact]
    public void TheStoreStaysWithinItsBounds()
    {
        const long capacity = 12_000;
        var store = new CodeStore(capacity);
        for (uint step = 1; step <= 40; step++)
        {
            RunSum(store, out uint sum, step);
            Assert.Equal(SumOf(step), sum);
            Assert.InRange(store.Bytes, 1, capacity);
        }

        Assert.InRange(store.Count, 1, 39);

        // The last is still there, the first is not.
        Assert.Equal(0, RunSum(store, out _, 40).RegionsCompiled);
        Assert.NotEqual(0, RunSum(store, out _, 1).RegionsCompiled);
    }

    [Fact]
    public void WhatIsClaimedIsCompiledByOneOnly()
    {
        var store = new CodeStore();
        RunSum(store, out _);
        StoredRegion region = store.Snapshot()[0];
        Assert.True(store.TryClaim(region.Shape));
        Assert.False(store.TryClaim(region.Shape));
        store.Release(region.Shape);
        Assert.True(store.TryClaim(region.Shape));
    }
}
