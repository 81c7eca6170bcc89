using Dbt.Cli.Migration.Messages;
using Google.Protobuf;

namespace Dbt.Cli.Migration;

/// <summary>Messages in frames.</summary>
internal static class Frames
{
    /// <summary>Waits for a message of one kind.</summary>
    /// <exception cref="IOException">The connection is lost.</exception>
    /// <exception cref="MigrationException">The other side refuses, or says something else.</exception>
    public static T Expect<T>(IFrameChannel channel, FrameType type, MessageParser<T> parser)
        where T : IMessage<T>
    {
        FrameType got = channel.Receive(out ReadOnlySpan<byte> payload);
        if (got == FrameType.Refused)
        {
            throw new MigrationException(Parse(payload, Refused.Parser).Reason);
        }

        return got == type ? Parse(payload, parser) : throw new MigrationException($"the other side says {got} where {type} is expected");
    }

    /// <summary>Reads a message.</summary>
    /// <exception cref="MigrationException">It is none.</exception>
    public static T Parse<T>(ReadOnlySpan<byte> payload, MessageParser<T> parser)
        where T : IMessage<T>
    {
        try
        {
            return parser.ParseFrom(payload);
        }
        catch (InvalidProtocolBufferException exception)
        {
            throw new MigrationException($"a {typeof(T).Name} makes no sense: {exception.Message}", exception);
        }
    }
}
