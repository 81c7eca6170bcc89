namespace Dbt.Cli.Migration;

/// <summary>Carries frames to the other daemon and back, in order, each whole or not at all. One thread sends and receives.</summary>
internal interface IFrameChannel : IDisposable
{
    /// <summary>Sends a frame; it is on its way when this returns.</summary>
    /// <exception cref="IOException">The connection is lost.</exception>
    void Send(FrameType type, ReadOnlySpan<byte> payload);

    /// <summary>Waits for a frame.</summary>
    /// <param name="payload">Its bytes, valid until the next call.</param>
    /// <exception cref="IOException">The connection is lost, or what comes is no frame.</exception>
    FrameType Receive(out ReadOnlySpan<byte> payload);

    /// <summary>Says that no more frames come from here; those of the other side still do.</summary>
    /// <exception cref="IOException">The connection is lost.</exception>
    void EndSending();

    /// <summary>Ends the connection by itself after a time, so that whoever waits gets an <see cref="IOException"/>; null takes that back.</summary>
    void Limit(TimeSpan? time);
}
