using Dbt.Cli.Migration;
using static Dbt.Tests.Cli.Migration.FakeWorld;

namespace Dbt.Tests.Cli.Migration;

/// <summary>
/// Exactly one copy of a guest runs, whatever happens: the connection cut at each frame, before or behind it, either side killed at each thing
/// that it does.
/// </summary>
public class SwitchoverTests
{
    [Fact]
    public void AGuestMoves()
    {
        var world = new FakeWorld();
        Assert.Null(world.Run());
        Assert.Equal((Copy.None, Copy.Running, null), (world.Here, world.There, world.Wrong));
        Assert.InRange(world.Frames, 15, int.MaxValue);
    }

    [Theory]
    [InlineData(true, 0)]
    [InlineData(true, 2)]
    [InlineData(false, 0)]
    [InlineData(false, 2)]
    public void TheConnectionIsCutAtEachFrame(bool arrives, int brokenQuestions)
    {
        for (int frame = 0, frames = FramesOfAll(); frame < frames; frame++)
        {
            var world = new FakeWorld { Cut = (frame, arrives), BrokenQuestions = brokenQuestions };
            Exception? thrown = world.Run();
            string what = $"cut at frame {frame}, here {world.Here}, there {world.There}, {thrown?.Message}";
            Assert.True(world.Wrong is null, $"{world.Wrong}: {what}");
            Assert.True((world.Here, world.There) is (Copy.Running, Copy.None) or (Copy.None, Copy.Running), what);
            Assert.True(thrown is MigrationException == (world.Here == Copy.Running), what);
        }
    }

    [Fact]
    public void TheTargetIsKilledAtEachThingThatItDoes()
    {
        for (int act = 0, acts = ActsOfAll(static world => world.Target); act < acts; act++)
        {
            var world = new FakeWorld();
            world.Target.DiesAt = act;
            Exception? thrown = world.Run();
            string what = $"killed at {act} of {acts}, here {world.Here}, there {world.There}, {thrown?.Message}";
            Assert.True(world.Wrong is null, $"{world.Wrong}: {what}");
            Assert.Equal(Copy.None, world.There);
            Assert.False(world.RanThere && world.Here == Copy.Running, "it lives twice: " + what);

            // The target's word was out, or the guest stays.
            Assert.True(world.Here == Copy.Running || (thrown is null && world.FinalCame), what);
        }
    }

    [Fact]
    public void TheSourceIsKilledAtEachThingThatItDoes()
    {
        for (int act = 0, acts = ActsOfAll(static world => world.Source); act < acts; act++)
        {
            var world = new FakeWorld();
            world.Source.DiesAt = act;
            _ = world.Run();
            string what = $"killed at {act} of {acts}, there {world.There}";
            Assert.True(world.Wrong is null, $"{world.Wrong}: {what}");
            Assert.Equal(Copy.None, world.Here);
            Assert.True(world.There == (world.FinalCame ? Copy.Running : Copy.None), what);
        }
    }

    [Fact]
    public void BothAreKilledInTurns()
    {
        // The target is killed while the source is asking, for instance.
        int targetActs = ActsOfAll(static world => world.Target), frames = FramesOfAll();
        for (int frame = frames - 4; frame < frames; frame++)
        {
            for (int act = targetActs - 8; act < targetActs + 6; act++)
            {
                var world = new FakeWorld { Cut = (frame, true) };
                world.Target.DiesAt = act;
                Exception? thrown = world.Run();
                string what = $"cut at {frame}, killed at {act}, here {world.Here}, there {world.There}, ran there {world.RanThere}, {thrown?.Message}";
                Assert.True(world.Wrong is null, $"{world.Wrong}: {what}");
                Assert.True(world.Here == Copy.Running || world.There == Copy.Running || world.FinalCame, what);
            }
        }
    }

    [Fact]
    public async Task APersonDecidesWhatCannotBeFoundOut()
    {
        foreach (bool here in (bool[])[true, false])
        {
            Guid id = Guid.NewGuid();
            var world = new FakeWorld();
            var unreachable = new Unreachable();
            var force = new TaskCompletionSource<bool>();
            var options = new MigrationOptions { AskAgain = (TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1)) };
            Task<bool> asked = Task.Run(() => new Switchover(unreachable, id, options).Ask(world.Departing, force.Task));
            Assert.True(SpinWait.SpinUntil(() => unreachable.Attempts > 10, TimeSpan.FromMinutes(1)));
            Assert.False(asked.IsCompleted);
            force.SetResult(here);
            Assert.Equal(!here, await asked.WaitAsync(TimeSpan.FromMinutes(1)));
        }
    }

    [Fact]
    public void TheLedgerSaysTheSameForEver()
    {
        var ledger = new MigrationLedger();
        Guid open = Guid.NewGuid(), done = Guid.NewGuid();
        Assert.True(ledger.TryBegin(open, "a"));
        Assert.False(ledger.TryBegin(open, "a"));
        Assert.False(ledger.Ask(open, "b"));
        Assert.False(ledger.Ask(open, "a"));
        Assert.False(ledger.TryCommit(open, "a"));
        Assert.True(ledger.TryBegin(done, "a"));
        Assert.True(ledger.TryCommit(done, "a"));
        ledger.Refuse(done, "a");
        ledger.End(done, "a");
        Assert.True(ledger.Ask(done, "a"));
        Assert.False(ledger.Ask(done, "b"));
        Assert.False(ledger.Ask(Guid.NewGuid(), "a"));
        Assert.False(ledger.TryBegin(done, "a"));
    }

    private static int FramesOfAll()
    {
        var world = new FakeWorld();
        Assert.Null(world.Run());
        return world.Frames;
    }

    private static int ActsOfAll(Func<FakeWorld, FakeWorld.Side> side)
    {
        var world = new FakeWorld();
        Assert.Null(world.Run());
        return side(world).Acts;
    }

    private sealed class Unreachable : IMigrationPath
    {
        private int _attempts;

        public int Attempts => Volatile.Read(ref _attempts);

        public IFrameChannel Connect()
        {
            Interlocked.Increment(ref _attempts);
            throw new IOException("no route to host");
        }
    }
}
