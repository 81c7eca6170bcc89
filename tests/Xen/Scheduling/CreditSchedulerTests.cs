using Dbt.Xen.Scheduling;

namespace Dbt.Tests.Xen.Scheduling;

/// <summary>Caps and weights on a clock of the test's own.</summary>
public sealed class CreditSchedulerTests
{
    private const int Default = CpuShare.DefaultWeight;
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(30), Period = TimeSpan.FromMilliseconds(30);

    [Theory]
    [InlineData(25, 1, 1)]
    [InlineData(1, 1, 1)]
    [InlineData(100, 1, 4)]
    [InlineData(150, 2, 2)]
    [InlineData(50, 4, 2)]
    public void ACapIsKeptByAllProcessorsTogether(int cap, int virtualProcessors, int processors)
    {
        var machine = new SimulatedMachine(processors);
        (_, SimulatedMachine.Thread[] threads) = machine.Domain(Default, cap, virtualProcessors);
        machine.Run(Long);
        Assert.InRange(threads.Sum(thread => thread.Time / Long) * 100, cap * 0.99, cap * 1.01);
    }

    [Fact]
    public void WhatWasTooMuchIsPaidLater()
    {
        var machine = new SimulatedMachine(1) { Lateness = 200_000_000 };
        (_, SimulatedMachine.Thread[] threads) = machine.Domain(Default, 20);
        machine.Run(Long);
        Assert.InRange(threads[0].Time / Long, 0.15, 0.21);
    }

    [Fact]
    public void WhatWasNotUsedIsNotKept()
    {
        var machine = new SimulatedMachine(1);
        (_, SimulatedMachine.Thread[] threads) = machine.Domain(Default, 50);
        threads[0].WantsToRun = false;
        machine.Run(Long);
        Assert.Equal((TimeSpan.Zero, false), (threads[0].Time, machine.HasTimer));
        threads[0].WantsToRun = true;
        machine.Run(Period * 10);
        Assert.InRange(threads[0].Time, Period * 4.9, Period * 5.6);
    }

    [Fact]
    public void AGuestThatWaitsBeforeItIsLookedAtGetsNoMore()
    {
        var machine = new SimulatedMachine(1);
        (_, SimulatedMachine.Thread[] threads) = machine.Domain(Default, 20);
        for (int i = 0; i < 30_000; i++)
        {
            machine.Run(TimeSpan.FromMicroseconds(900));
            threads[0].WantsToRun = false;
            machine.Run(TimeSpan.FromMicroseconds(100));
            threads[0].WantsToRun = true;
        }

        Assert.InRange(threads[0].Time / Long, 0.19, 0.205);
    }

    [Theory]
    [InlineData(1, new[] { 256, 256, 512 }, new[] { 0.25, 0.25, 0.5 })]
    [InlineData(2, new[] { 512, 256, 256 }, new[] { 1.0, 0.5, 0.5 })]
    [InlineData(2, new[] { 65535, 256, 256 }, new[] { 1.0, 0.5, 0.5 })]
    [InlineData(2, new[] { 100, 200, 300, 400 }, new[] { 0.2, 0.4, 0.6, 0.8 })]
    [InlineData(4, new[] { 1, 2, 3 }, new[] { 1.0, 1.0, 1.0 })]
    public void BusyProcessorsShareByWeight(int processors, int[] weights, double[] shares)
    {
        var machine = new SimulatedMachine(processors);
        SimulatedMachine.Thread[] threads = [.. weights.Select(weight => machine.Domain(weight, 0).Threads[0])];
        machine.Run(Long);
        foreach ((SimulatedMachine.Thread thread, double share) in threads.Zip(shares))
        {
            Assert.InRange(thread.Time / Long, share - 0.02, share + 0.02);
        }
    }

    [Fact]
    public void WeightAndCapGoTogether()
    {
        var machine = new SimulatedMachine(1);
        SimulatedMachine.Thread heavy = machine.Domain(4 * Default, cap: 30).Threads[0], light = machine.Domain(Default, 0).Threads[0], other = machine.Domain(Default, 0).Threads[0];
        machine.Run(Long);
        Assert.InRange(heavy.Time / Long, 0.28, 0.305);
        Assert.InRange(light.Time / Long, 0.33, 0.37);
        Assert.InRange(other.Time / Long, 0.33, 0.37);
    }

    [Fact]
    public void AProcessorOfTheHostIsNeverLeftIdle()
    {
        var machine = new SimulatedMachine(1);
        SimulatedMachine.Thread heavy = machine.Domain(100 * Default, 0).Threads[0], light = machine.Domain(Default, 0).Threads[0];
        machine.Run(Period);
        Assert.True(light.Rests);
        heavy.WantsToRun = false;
        Assert.Equal((false, false), (light.Rests, machine.HasTimer));
        heavy.WantsToRun = true;
        machine.Run(Period);
        Assert.Equal((true, false), (light.Rests, heavy.Rests));
    }

    [Fact]
    public void OneThatHasWaitedLongGetsNoMoreThanItsShareAfterwards()
    {
        var machine = new SimulatedMachine(1);
        SimulatedMachine.Thread late = machine.Domain(2 * Default, 0).Threads[0], one = machine.Domain(Default, 0).Threads[0];
        late.WantsToRun = false;
        machine.Run(Long);
        late.WantsToRun = true;
        TimeSpan before = one.Time;
        machine.Run(TimeSpan.FromSeconds(3));
        Assert.InRange(one.Time - before, TimeSpan.FromSeconds(0.85), TimeSpan.FromSeconds(1.15));
    }

    [Fact]
    public void ThoseWithoutCapAndOfOneWeightAreNotLookedAt()
    {
        var machine = new SimulatedMachine(1);
        (CpuShare share, SimulatedMachine.Thread[] threads) = machine.Domain(Default, 0, 3);
        machine.Domain(Default, 0);
        machine.Run(Period);
        Assert.Equal((0, false), (machine.TimersSet, share.IsKept));

        // For as long as it is otherwise, they are.
        (CpuShare heavy, _) = machine.Domain(300, 0);
        machine.Run(Period);
        Assert.Equal((true, true, true), (machine.HasTimer, share.IsKept, threads.Any(thread => thread.Rests)));
        machine.Scheduler.Remove(heavy);
        Assert.Equal((false, false, false), (machine.HasTimer, share.IsKept, threads.Any(thread => thread.Rests)));
        share.Set(Default, 1);
        machine.Run(Period / 2);
        Assert.Equal((true, true, true), (machine.HasTimer, share.IsKept, threads.All(thread => thread.Rests)));
        share.Set(Default, 0);
        Assert.Equal((false, false, false), (machine.HasTimer, share.IsKept, threads.Any(thread => thread.Rests)));
    }
}
