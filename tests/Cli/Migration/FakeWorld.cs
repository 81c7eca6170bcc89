using Dbt.Cli.Migration;
using Dbt.Cli.Migration.Messages;

namespace Dbt.Tests.Cli.Migration;

/// <summary>
/// Two daemons with a guest that moves, without anything of what a guest is: everything that either does is counted, and either can die at any of it
/// as by SIGKILL, or the connection be cut at any frame. Says at once if two guests ran.
/// </summary>
internal sealed class FakeWorld
{
    private readonly Lock _lock = new();
    private readonly List<Thread> _connections = [];
    private readonly List<FakeChannel> _ends = [];

    public FakeWorld()
    {
        Source = new Side(this);
        Target = new Side(this);
        Departing = new FakeDeparting(this);
    }

    /// <summary>What a copy of the guest does.</summary>
    public enum Copy
    {
        /// <summary>There is none (any more).</summary>
        None,

        /// <summary>It is there and doesn't run.</summary>
        Held,

        /// <summary>It runs.</summary>
        Running,
    }

    public Side Source { get; }

    public Side Target { get; }

    public FakeDeparting Departing { get; }

    public MigrationLedger Ledger { get; } = new();

    /// <summary>Cut the connection at this frame of it, counted in both directions; and whether that frame still arrives.</summary>
    public (int Frame, bool Arrives)? Cut { get; init; }

    /// <summary>Why the target has no room for a page; null where it has.</summary>
    public string? Full { get; set; }

    /// <summary>Pages of the guest.</summary>
    public int Pages { get; set; } = 3;

    /// <summary>How many of the questions' connections break as well.</summary>
    public int BrokenQuestions { get; set; }

    public Copy Here { get; private set; } = Copy.Running;

    public Copy There { get; private set; } = Copy.None;

    /// <summary>Whether the guest ever ran there.</summary>
    public bool RanThere { get; private set; }

    /// <summary>Whether the target's process got the last frame.</summary>
    public bool FinalCame { get; set; }

    /// <summary>Frames of the first connection.</summary>
    public int Frames { get; private set; }

    public string? Wrong { get; private set; }

    public IArrivals Arrivals => new FakeArrivals(this);

    public void SetHere(Copy copy) => Set(() => Here = copy);

    public void SetThere(Copy copy) => Set(() =>
    {
        There = copy;
        RanThere |= copy == Copy.Running;
    });

    /// <summary>Opens a connection, which the target serves on a thread of its own.</summary>
    public IFrameChannel Connect()
    {
        Source.Act();
        lock (_lock)
        {
            if (Target.IsDead)
            {
                throw new TargetGoneException("nobody listens");
            }

            var wire = new FakeWire();
            bool first = _ends.Count == 0;
            bool broken = !first && BrokenQuestions-- > 0;
            var source = new FakeChannel(this, Source, wire, forward: true, first, broken);
            var target = new FakeChannel(this, Target, wire, forward: false, first, broken);
            _ends.AddRange([source, target]);
            var thread = new Thread(() => Serve(target)) { IsBackground = true };
            _connections.Add(thread);
            thread.Start();
            return source;
        }
    }

    /// <summary>Runs the migration to its end, on both sides.</summary>
    /// <returns>What the source's side threw; null for nothing.</returns>
    public Exception? Run()
    {
        Exception? thrown = null;
        var options = new MigrationOptions { AskAgain = (TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(2)) };
        var migration = new OutgoingMigration(Departing, new Path(this), options, static _ => { });
        var thread = new Thread(() => thrown = Record.Exception(() => migration.Run(new TaskCompletionSource<bool>().Task, CancellationToken.None))) { IsBackground = true };
        thread.Start();
        Assert.True(thread.Join(TimeSpan.FromMinutes(1)), "the source didn't end");
        foreach (Thread connection in _connections.ToArray())
        {
            Assert.True(connection.Join(TimeSpan.FromMinutes(1)), "the target didn't end");
        }

        return thrown;
    }

    /// <summary>A frame is about to be sent on the first connection.</summary>
    /// <returns>Null to go on; otherwise the connection is to be cut, and whether the frame arrives.</returns>
    public bool? CountFrame()
    {
        lock (_lock)
        {
            int frame = Frames++;
            return Cut is { } cut && cut.Frame == frame ? cut.Arrives : null;
        }
    }

    /// <summary>A side has died: the host closes its connections, what it had sent arrives.</summary>
    public void Died(Side side)
    {
        if (side == Source)
        {
            SetHere(Copy.None);
        }
        else
        {
            SetThere(Copy.None);
        }

        lock (_lock)
        {
            _ends.FindAll(end => end.Side == side).ForEach(static end => end.Dispose());
        }
    }

    private void Serve(FakeChannel channel)
    {
        try
        {
            using (channel)
            {
                new IncomingMigration(channel, "peer", Ledger, Arrivals, new MigrationOptions()).Serve();
            }
        }
        catch (Exception exception) when (exception is IOException or MigrationException or KilledException)
        {
        }
    }

    private void Set(Action change)
    {
        lock (_lock)
        {
            change();
            if (Here == Copy.Running && There == Copy.Running)
            {
                Wrong = "two copies run";
            }
        }
    }

    /// <summary>One side's process.</summary>
    public sealed class Side(FakeWorld world)
    {
        private readonly Lock _gate = new();

        /// <summary>It dies instead of doing this, counted from 0.</summary>
        public int? DiesAt { get; set; }

        public int Acts { get; private set; }

        public bool IsDead { get; private set; }

        /// <summary>Does something, if it lives.</summary>
        public void Act()
        {
            lock (_gate)
            {
                if (!IsDead && Acts++ == DiesAt)
                {
                    IsDead = true;
                    world.Died(this);
                }

                if (IsDead)
                {
                    throw new KilledException();
                }
            }
        }
    }

    private sealed class Path(FakeWorld world) : IMigrationPath
    {
        public IFrameChannel Connect() => world.Connect();
    }
}

/// <summary>The process is dead: nothing of it goes on.</summary>
internal sealed class KilledException : Exception;

/// <summary>A guest that departs.</summary>
internal sealed class FakeDeparting(FakeWorld world) : IDepartingGuest
{
    private int _rounds;

    public Offer Describe()
    {
        world.Source.Act();
        return new Offer { Name = "fake" };
    }

    public IReadOnlyList<uint> Begin()
    {
        world.Source.Act();
        return [.. Enumerable.Range(1, world.Pages).Select(static i => (uint)i)];
    }

    public void TakeWritten(List<uint> numbers)
    {
        world.Source.Act();
        numbers.AddRange(_rounds++ == 0 ? Enumerable.Range(1, 600).Select(static i => (uint)(i % 3) + 1) : [2]);
    }

    public bool TryRead(uint number, Span<byte> page)
    {
        page.Fill((byte)number);
        return true;
    }

    public ReadOnlySpan<byte> ListCode()
    {
        world.Source.Act();
        return new byte[100_000];
    }

    public void Prepare() => world.Source.Act();

    public void Suspend(CancellationToken cancel) => world.Source.Act();

    public void Hold(List<uint> last)
    {
        world.Source.Act();
        world.SetHere(FakeWorld.Copy.Held);
        last.Add(3);
    }

    public void WriteState(Stream state)
    {
        world.Source.Act();
        state.Write(new byte[600_000]);
    }

    public void Stay()
    {
        world.Source.Act();
        world.SetHere(FakeWorld.Copy.Running);
    }

    public void Depart()
    {
        world.Source.Act();
        world.SetHere(FakeWorld.Copy.None);
    }

    public void TellUndecided(string why) => world.Source.Act();
}

/// <summary>The target's guests.</summary>
internal sealed class FakeArrivals(FakeWorld world) : IArrivals, IArrivingGuest
{
    public IArrivingGuest Prepare(Offer offer)
    {
        world.Target.Act();
        world.SetThere(FakeWorld.Copy.Held);
        return this;
    }

    public void Put(uint number, ReadOnlySpan<byte> page)
    {
        Assert.False(page.ContainsAnyExcept((byte)number));
        if (world.Full is { } why)
        {
            throw new MigrationException(why);
        }
    }

    public void PutZero(uint number) => Assert.Fail("no page is zero");

    public void PrepareCode(ReadOnlySpan<byte> list)
    {
        world.Target.Act();
        Assert.Equal(100_000, list.Length);
    }

    public void Finish(Stream state, IDictionary<string, ulong> took)
    {
        world.FinalCame = true;
        world.Target.Act();
        Assert.Equal(600_000, state.Length);
        took["all"] = 1;
    }

    public void Run(TimeSpan heldFor)
    {
        world.Target.Act();
        world.SetThere(FakeWorld.Copy.Running);
    }

    public void Drop()
    {
        world.Target.Act();
        world.SetThere(FakeWorld.Copy.None);
    }
}
