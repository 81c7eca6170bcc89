using Dbt.Cli.Migration.Messages;
using Google.Protobuf;

namespace Dbt.Cli.Migration;

/// <summary>
/// Whose the guest is once everything was sent. The target decides, and tells before it lets the guest run: what it has sent reaches us even if
/// its process is killed then. So a connection that ends without a word means that it did not run the guest before; whether it will, only it can say.
/// </summary>
internal sealed class Switchover(IMigrationPath path, Guid id, MigrationOptions options)
{
    /// <summary>Waits for the target's word.</summary>
    /// <returns>What it spent its time on: the guest is there. Null where the connection was lost.</returns>
    /// <exception cref="MigrationException">It will not have the guest.</exception>
    public static IReadOnlyDictionary<string, ulong>? AwaitDecision(IFrameChannel channel)
    {
        FrameType type;
        ReadOnlySpan<byte> payload;
        try
        {
            type = channel.Receive(out payload);
        }
        catch (IOException)
        {
            return null;
        }

        return type switch
        {
            FrameType.Committed => Times(payload),
            FrameType.Refused => throw new MigrationException(Frames.Parse(payload, Refused.Parser).Reason),

            // It may be anything. The question is answered or not.
            _ => null,
        };
    }

    // The guest is there, whatever else it says.
    private static IReadOnlyDictionary<string, ulong> Times(ReadOnlySpan<byte> payload)
    {
        try
        {
            return Frames.Parse(payload, Committed.Parser).Nanoseconds.AsReadOnly();
        }
        catch (MigrationException)
        {
            return new Dictionary<string, ulong>();
        }
    }

    /// <summary>Asks until it is known.</summary>
    /// <param name="guest">Is told once that it isn't, where it takes longer.</param>
    /// <param name="force">A person's decision: true for "here".</param>
    /// <returns>Whether the guest is there.</returns>
    public bool Ask(IDepartingGuest guest, Task<bool> force)
    {
        TimeSpan wait = options.AskAgain.First;
        for (int attempt = 0; ; attempt++)
        {
            if (force.IsCompletedSuccessfully)
            {
                return !force.Result;
            }

            string why;
            try
            {
                using IFrameChannel channel = path.Connect();
                channel.Limit(options.HoldLimit);
                channel.Send(FrameType.Hello, new Hello { Version = MigrationOptions.Version, Id = ByteString.CopyFrom(id.ToByteArray()), Question = true }.ToByteArray());
                Frames.Expect(channel, FrameType.Welcome, Welcome.Parser);
                return Frames.Expect(channel, FrameType.Answer, Answer.Parser).Running;
            }
            catch (TargetGoneException)
            {
                return false;
            }
            catch (Exception exception) when (exception is IOException or MigrationException)
            {
                why = exception.Message;
            }

            const int patience = 3;
            if (attempt == patience)
            {
                guest.TellUndecided(why);
            }

            _ = force.Wait(wait);
            wait = wait * 2 < options.AskAgain.Longest ? wait * 2 : options.AskAgain.Longest;
        }
    }
}
