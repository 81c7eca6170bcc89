using System.Buffers.Binary;
using System.Net.Security;

namespace Dbt.Cli.Migration;

/// <summary>
/// Frames on a stream: length of the payload (32 bits, little endian), <see cref="FrameType"/> (8 bits), three zero bytes, payload. Each type has
/// a most length, which is checked before anything is kept for it; so what a peer can make us keep is a frame, whatever it says.
/// </summary>
internal sealed class FramedChannel : IFrameChannel
{
    /// <summary>Most bytes of a message.</summary>
    public const int MostMessage = 64 << 10;

    /// <summary>Most bytes of an offer, which has a configuration in it, and of the list of hot code.</summary>
    public const int MostOffer = 2 << 20;

    /// <summary>Most bytes of a part of the state.</summary>
    public const int MostState = 256 << 10;

    private const int HeaderBytes = 8;

    private readonly Stream _stream;
    private readonly Timer _limit;
    private byte[] _in = new byte[4096], _out = new byte[4096];
    private volatile bool _timedOut;

    /// <summary>Takes over a stream, whose disposal ends what waits in it.</summary>
    public FramedChannel(Stream stream)
    {
        _stream = stream;
        _limit = new Timer(_ =>
        {
            _timedOut = true;
            _stream.Dispose();
        });
    }

    /// <inheritdoc/>
    public void Send(FrameType type, ReadOnlySpan<byte> payload)
    {
        // In one piece, for a record of TLS and a packet are made of each.
        if (_out.Length < HeaderBytes + payload.Length)
        {
            _out = new byte[HeaderBytes + payload.Length];
        }

        BinaryPrimitives.WriteInt32LittleEndian(_out, payload.Length);
        _out[4] = (byte)type;
        payload.CopyTo(_out.AsSpan(HeaderBytes));
        Try(() => _stream.Write(_out, 0, HeaderBytes + BinaryPrimitives.ReadInt32LittleEndian(_out)));
    }

    /// <inheritdoc/>
    public FrameType Receive(out ReadOnlySpan<byte> payload)
    {
        Fill(HeaderBytes);
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(_in);
        var type = (FrameType)_in[4];
        if (length > MostOf(type) || (_in[5] | _in[6] | _in[7]) != 0)
        {
            throw new IOException($"what came is no frame of a migration (type {(byte)type}, {length} bytes)");
        }

        if (_in.Length < length)
        {
            _in = new byte[length];
        }

        Fill((int)length);
        payload = _in.AsSpan(0, (int)length);
        return type;
    }

    /// <inheritdoc/>
    public void EndSending() => Try(() =>
    {
        if (_stream is SslStream secure)
        {
            secure.ShutdownAsync().GetAwaiter().GetResult();
        }
    });

    /// <inheritdoc/>
    public void Limit(TimeSpan? time)
    {
        try
        {
            _limit.Change(time ?? Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
        catch (ObjectDisposedException)
        {
            // It has ended meanwhile.
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _limit.Dispose();
        _stream.Dispose();
    }

    /// <summary>Most bytes of a payload; none for what is no type.</summary>
    private static int MostOf(FrameType type) => type switch
    {
        FrameType.Pages => PageBatch.MostBytes,
        FrameType.State => MostState,
        FrameType.Offer or FrameType.HotCode => MostOffer,
        >= FrameType.Hello and <= FrameType.Answer => MostMessage,
        _ => -1,
    };

    private void Fill(int bytes) => Try(() => _stream.ReadExactly(_in, 0, bytes));

    private void Try(Action action)
    {
        try
        {
            action();
        }
        catch (EndOfStreamException exception)
        {
            throw new IOException(_timedOut ? "the other side took too long" : "the other side closed the connection", exception);
        }
        catch (Exception exception) when (exception is ObjectDisposedException or IOException or InvalidOperationException)
        {
            throw new IOException(_timedOut ? "the other side took too long" : $"the connection is lost: {exception.Message}", exception);
        }
    }
}
