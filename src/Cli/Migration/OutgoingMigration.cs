using System.Diagnostics;
using System.Globalization;
using Dbt.Cli.Migration.Messages;
using Google.Protobuf;

namespace Dbt.Cli.Migration;

/// <summary>
/// The source's side. Memory goes over round by round while the guest runs; then it is held, and what is left and the state follow. Until
/// <see cref="FrameType.Final"/> is sent, whatever goes wrong ends here: the guest goes on. From then on the target decides, and the guest goes on
/// here only if the target says that it will not have it, or is gone as a process (<see cref="Switchover"/>).
/// </summary>
internal sealed class OutgoingMigration(IDepartingGuest guest, IMigrationPath path, MigrationOptions options, Action<MigrationProgress> tell)
{
    private static readonly TimeSpan s_tellAfter = TimeSpan.FromMilliseconds(200);

    private const int RoundsBehindPreparing = 2;

    private readonly Guid _id = Guid.NewGuid();
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly PageBatch _batch = new();
    private readonly List<(string What, TimeSpan Took)> _parts = [];
    private long _sent, _bytes;
    private double _rate = 100e6;
    private int _round;
    private TimeSpan _told;

    /// <summary>What the pause was made of, in order: what, and how long.</summary>
    public IReadOnlyList<(string What, TimeSpan Took)> PauseParts => _parts;

    /// <summary>How long the guest was held, by the clock of this side, until the target had it.</summary>
    public TimeSpan Held { get; private set; }

    /// <summary>Moves the guest. When this returns it is at the target, and gone from here.</summary>
    /// <param name="force">Completes when a person decides what can't be found out: true for "it stays here".</param>
    /// <param name="cancel">Until the guest is held: it stays.</param>
    /// <exception cref="MigrationException">The guest runs on here; or, where a person said so, is gone from here.</exception>
    /// <exception cref="OperationCanceledException">The guest runs on here.</exception>
    public void Run(Task<bool> force, CancellationToken cancel)
    {
        bool undecided = false;
        try
        {
            IReadOnlyDictionary<string, ulong>? there;
            using (IFrameChannel channel = path.Connect())
            {
                using CancellationTokenRegistration _ = cancel.Register(() => channel.Limit(TimeSpan.Zero));
                Open(channel);
                Copy(channel, cancel);
                channel.Limit(options.SuspendLimit);
                guest.Suspend(cancel);
                cancel.ThrowIfCancellationRequested();
                _.Unregister();
                channel.Limit(options.HoldLimit);
                long start = Stopwatch.GetTimestamp();
                HandOver(channel, start);
                undecided = true;
                there = Switchover.AwaitDecision(channel);
                Held = Stopwatch.GetElapsedTime(start);
            }

            if (there is null)
            {
                Tell(MigrationPhase.Asking, 0, Held, "the connection was lost when the guest was handed over");
                if (!new Switchover(path, _id, options).Ask(guest, force))
                {
                    undecided = false;
                    throw new MigrationException("the connection was lost when the guest was handed over, and it is not there");
                }
            }
            else
            {
                foreach ((string what, ulong nanoseconds) in there.OrderBy(static part => part.Key, StringComparer.Ordinal))
                {
                    _parts.Add(($"there: {what}", TimeSpan.FromTicks((long)(nanoseconds / 100))));
                }
            }
        }
        catch (MigrationException) when (undecided)
        {
            // The target said that it will not have it.
            guest.Stay();
            throw;
        }
        catch (Exception exception) when (!undecided && exception is IOException or MigrationException or OperationCanceledException)
        {
            guest.Stay();
            cancel.ThrowIfCancellationRequested();
            throw exception as MigrationException ?? new MigrationException(exception.Message, exception);
        }
        catch when (!undecided)
        {
            guest.Stay();
            throw;
        }

        guest.Depart();
        Tell(MigrationPhase.Done, 0, Held);
    }

    private void Open(IFrameChannel channel)
    {
        channel.Limit(options.AnswerLimit);
        channel.Send(FrameType.Hello, new Hello { Version = MigrationOptions.Version, Id = ByteString.CopyFrom(_id.ToByteArray()) }.ToByteArray());
        Frames.Expect(channel, FrameType.Welcome, Welcome.Parser);
        Tell(MigrationPhase.Preparing, 0, TimeSpan.Zero);
        channel.Send(FrameType.Offer, guest.Describe().ToByteArray());
        Frames.Expect(channel, FrameType.Ready, Ready.Parser);
    }

    private void Copy(IFrameChannel channel, CancellationToken cancel)
    {
        List<uint> pages = [.. guest.Begin()];
        int idle = 0, roundsLeft = RoundsBehindPreparing;
        for (_round = 1; ; _round++)
        {
            CopyRound(channel, pages, cancel);
            if (_round == 1)
            {
                // All pages are there, and what is written meanwhile is copied again.
                channel.Send(FrameType.HotCode, guest.ListCode());
            }

            int before = pages.Count;
            pages.Clear();
            guest.TakeWritten(pages);
            TimeSpan pause = Pause(pages.Count);
            TellRound(pages.Count, pause);
            idle = _round > 1 && pages.Count > before * 9L / 10 ? idle + 1 : 0;
            bool last = _round >= options.MostRounds || idle >= options.MostIdleRounds;
            if (pause <= options.DowntimeGoal || last)
            {
                if (pause > options.DowntimeGoal)
                {
                    roundsLeft = 1;
                    Tell(MigrationPhase.Copying, pages.Count, pause, "the guest writes faster than its memory can be sent; it is held all the same");
                }

                break;
            }
        }

        // These too while it runs, and what it writes until the disks have what is theirs: what is written behind that is less.
        guest.Prepare();
        while (true)
        {
            cancel.ThrowIfCancellationRequested();
            _round++;
            CopyRound(channel, pages, cancel);
            if (--roundsLeft == 0)
            {
                break;
            }

            pages.Clear();
            guest.TakeWritten(pages);
        }
    }

    private void CopyRound(IFrameChannel channel, List<uint> pages, CancellationToken cancel)
    {
        const int tellEvery = 1 << 14;
        long start = Stopwatch.GetTimestamp(), bytes = _bytes;
        for (int i = 0; i < pages.Count; i++)
        {
            Add(channel, pages[i]);
            if (i % tellEvery == tellEvery - 1)
            {
                cancel.ThrowIfCancellationRequested();
                channel.Limit(options.AnswerLimit);
                Tell(MigrationPhase.Copying, pages.Count - i - 1, Pause(pages.Count - i - 1));
            }
        }

        _bytes += _batch.Send(channel);
        channel.Limit(options.AnswerLimit);
        channel.Send(FrameType.RoundEnd, new RoundEnd { Round = (uint)_round }.ToByteArray());
        Frames.Expect(channel, FrameType.RoundEnd, RoundEnd.Parser);
        const int meaningful = 1 << 20;
        if (_bytes - bytes > meaningful)
        {
            _rate = (_bytes - bytes) / Stopwatch.GetElapsedTime(start).TotalSeconds;
        }
    }

    private void HandOver(IFrameChannel channel, long start)
    {
        // Whoever shows it takes processor time, on this host too: not while the guest is held, unless that takes long.
        using var late = new Timer(_ => Tell(MigrationPhase.Holding, 0, TimeSpan.Zero), null, s_tellAfter, Timeout.InfiniteTimeSpan);
        long mark = start;
        var pages = new List<uint>();
        guest.Hold(pages);
        Note("hold", ref mark);
        foreach (uint page in pages)
        {
            Add(channel, page);
        }

        _bytes += _batch.Send(channel);
        Note(string.Create(CultureInfo.InvariantCulture, $"{pages.Count} pages"), ref mark);
        using var state = new StateSender(channel);
        guest.WriteState(state);
        state.Flush();
        Note("state", ref mark);
        channel.Send(FrameType.Final, new Final
        {
            Pages = (ulong)_sent,
            StateBytes = (ulong)state.Sent,
            HeldNanoseconds = (ulong)(Stopwatch.GetElapsedTime(start).Ticks * 100),
        }.ToByteArray());
    }

    private void Add(IFrameChannel channel, uint page)
    {
        if (!guest.TryRead(page, _batch.Next))
        {
            return;
        }

        _batch.Add(page);
        _sent++;
        if (_batch.IsFull)
        {
            _bytes += _batch.Send(channel);
        }
    }

    // Rounds get shorter and shorter, and the guest is held behind the last.
    private void TellRound(int left, TimeSpan pause)
    {
        if (_clock.Elapsed - _told >= s_tellAfter)
        {
            _told = _clock.Elapsed;
            Tell(MigrationPhase.Copying, left, pause);
        }
    }

    private TimeSpan Pause(long pages) => TimeSpan.FromSeconds(pages * 4096.0 / _rate);

    private void Note(string what, ref long mark)
    {
        long now = Stopwatch.GetTimestamp();
        _parts.Add((what, Stopwatch.GetElapsedTime(mark, now)));
        mark = now;
    }

    private void Tell(MigrationPhase phase, long left, TimeSpan pause, string detail = "") =>
        tell(new MigrationProgress(phase, _round, _sent, left, _bytes, _bytes / Math.Max(_clock.Elapsed.TotalSeconds, 1e-9), pause, detail));
}
