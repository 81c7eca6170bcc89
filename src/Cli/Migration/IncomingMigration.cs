using System.Diagnostics;
using Dbt.Cli.Commands;
using Dbt.Cli.Migration.Messages;
using Google.Protobuf;

namespace Dbt.Cli.Migration;

/// <summary>
/// The target's side of one connection: a migration, or the question what became of one. It receives everything, builds and checks, decides, says
/// so, and only then lets the guest run.
/// </summary>
/// <param name="channel">To the source.</param>
/// <param name="peer">Who that is: the certificate's fingerprint.</param>
/// <param name="ledger">Which migrations were decided how.</param>
/// <param name="arrivals">Makes the guest.</param>
/// <param name="options">Limits.</param>
internal sealed class IncomingMigration(IFrameChannel channel, string peer, MigrationLedger ledger, IArrivals arrivals, MigrationOptions options)
{
    // More than any guest's state, and little enough to be kept.
    private const long MostState = 256 << 20;

    private readonly Dictionary<string, ulong> _took = [];
    private readonly MemoryStream _state = new();
    private ulong _pages;

    /// <summary>Serves the connection to its end.</summary>
    /// <exception cref="MigrationException">The guest didn't come, and why; the source was told where it can be.</exception>
    /// <exception cref="IOException">The guest didn't come: the connection was lost.</exception>
    /// <returns>Whether a guest runs here by it.</returns>
    public bool Serve()
    {
        channel.Limit(options.AnswerLimit);
        Hello hello = Frames.Expect(channel, FrameType.Hello, Hello.Parser);
        const int idBytes = 16;
        if (hello.Version != MigrationOptions.Version || hello.Id.Length != idBytes)
        {
            throw Refuse(new MigrationException($"this daemon speaks version {MigrationOptions.Version} of the migration protocol, and the other one {hello.Version}"));
        }

        var id = new Guid(hello.Id.Span);
        if (!hello.Question && !ledger.TryBegin(id, peer))
        {
            throw Refuse(new MigrationException("that migration was begun before"));
        }

        channel.Send(FrameType.Welcome, new Welcome { Version = MigrationOptions.Version, Release = VersionCommand.Version }.ToByteArray());
        if (hello.Question)
        {
            channel.Send(FrameType.Answer, new Answer { Running = ledger.Ask(id, peer) }.ToByteArray());
            return false;
        }

        try
        {
            Receive(id);
            return true;
        }
        finally
        {
            ledger.End(id, peer);
        }
    }

    private void Receive(Guid id)
    {
        IArrivingGuest? guest = null;
        bool committed = false;
        try
        {
            Offer offer = Frames.Expect(channel, FrameType.Offer, Offer.Parser);
            channel.Limit(null);
            guest = arrivals.Prepare(offer);
            channel.Send(FrameType.Ready, []);
            Final final = ReceivePages(guest);
            long start = Stopwatch.GetTimestamp();
            channel.Limit(null);
            if (final.Pages != _pages || final.StateBytes != (ulong)_state.Length)
            {
                throw new MigrationException($"{_pages} pages and {_state.Length} bytes of state came of {final.Pages} and {final.StateBytes}");
            }

            _state.Position = 0;
            guest.Finish(_state, _took);
            if (!ledger.TryCommit(id, peer))
            {
                throw new MigrationException("the source asked before the guest was ready, and keeps it");
            }

            committed = true;
            Tell();
            guest.Run(TimeSpan.FromTicks((long)(final.HeldNanoseconds / 100)) + Stopwatch.GetElapsedTime(start));
        }
        catch (Exception exception) when (!committed)
        {
            // In this order: who asks from now on is told that it isn't here.
            ledger.Refuse(id, peer);
            guest?.Drop();
            if (exception is MigrationException reason)
            {
                throw Refuse(reason);
            }

            throw;
        }
    }

    private Final ReceivePages(IArrivingGuest guest)
    {
        while (true)
        {
            channel.Limit(options.AnswerLimit);
            FrameType type = channel.Receive(out ReadOnlySpan<byte> payload);
            switch (type)
            {
                case FrameType.Pages:
                    _pages += (ulong)PageBatch.Receive(payload, guest);
                    break;
                case FrameType.RoundEnd:
                    channel.Send(FrameType.RoundEnd, payload);
                    break;
                case FrameType.HotCode:
                    guest.PrepareCode(payload);
                    break;
                case FrameType.State when _state.Length + payload.Length <= MostState:
                    _state.Write(payload);
                    break;
                case FrameType.Final:
                    return Frames.Parse(payload, Final.Parser);
                case FrameType.Refused:
                    throw new MigrationException($"the source gave up: {Frames.Parse(payload, Refused.Parser).Reason}");
                default:
                    throw new MigrationException($"the source says {type} where that makes no sense");
            }
        }
    }

    // Whether it gets there or not: the guest is here. Who didn't hear it asks.
    private void Tell()
    {
        try
        {
            channel.Send(FrameType.Committed, new Committed { Nanoseconds = { _took } }.ToByteArray());
        }
        catch (IOException)
        {
        }
    }

    private MigrationException Refuse(MigrationException reason)
    {
        try
        {
            channel.Limit(options.AnswerLimit);
            channel.Send(FrameType.Refused, new Refused { Reason = reason.Message }.ToByteArray());

            // It listens only when it has sent all that it is sending. To close before that would reset the connection, and take the reason with it.
            channel.EndSending();
            while (true)
            {
                channel.Receive(out _);
            }
        }
        catch (IOException)
        {
            // It has heard it; or it finds that out by asking.
        }

        return reason;
    }
}
