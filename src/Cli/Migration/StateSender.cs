namespace Dbt.Cli.Migration;

/// <summary>A stream that goes out as frames of <see cref="FrameType.State"/>.</summary>
internal sealed class StateSender(IFrameChannel channel) : Stream
{
    private readonly byte[] _buffer = new byte[FramedChannel.MostState];
    private int _filled;

    /// <summary>Bytes that went out.</summary>
    public long Sent { get; private set; }

    /// <inheritdoc/>
    public override bool CanRead => false;

    /// <inheritdoc/>
    public override bool CanSeek => false;

    /// <inheritdoc/>
    public override bool CanWrite => true;

    /// <inheritdoc/>
    public override long Length => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Position
    {
        get => Sent + _filled;
        set => throw new NotSupportedException();
    }

    /// <inheritdoc/>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            int count = Math.Min(buffer.Length, _buffer.Length - _filled);
            buffer[..count].CopyTo(_buffer.AsSpan(_filled));
            _filled += count;
            buffer = buffer[count..];
            if (_filled == _buffer.Length)
            {
                Flush();
            }
        }
    }

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override void Flush()
    {
        if (_filled != 0)
        {
            channel.Send(FrameType.State, _buffer.AsSpan(0, _filled));
            Sent += _filled;
            _filled = 0;
        }
    }

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException();
}
