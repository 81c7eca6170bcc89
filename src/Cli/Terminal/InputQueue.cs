namespace Dbt.Cli.Terminal;

/// <summary>
/// Input that waits for a guest, whoever typed it. It belongs to no one life of the guest: what is typed while the guest restarts is there
/// for the next one. Any thread.
/// </summary>
internal sealed class InputQueue
{
    private const int MostWaiting = 1 << 20;

    private readonly Lock _lock = new();
    private readonly Queue<byte> _waiting = new();
    private readonly ManualResetEventSlim _changed = new(false);
    private readonly ManualResetEventSlim _room = new(true);

    /// <summary>Adds input, however much waits.</summary>
    public void Add(ReadOnlySpan<byte> bytes)
    {
        lock (_lock)
        {
            foreach (byte value in bytes)
            {
                _waiting.Enqueue(value);
            }

            if (_waiting.Count >= MostWaiting)
            {
                _room.Reset();
            }

            _changed.Set();
        }
    }

    /// <summary>Waits until the guest has taken some, where much waits. Who adds calls it in between, so that memory is bounded.</summary>
    public void AwaitRoom(CancellationToken cancellation = default) => _room.Wait(cancellation);

    /// <summary>A guest's view of the input. Disposing it ends a read that waits.</summary>
    public Stream OpenReader() => new Reader(this);

    private int Take(Span<byte> destination, CancellationToken closed)
    {
        while (!closed.IsCancellationRequested)
        {
            lock (_lock)
            {
                int count = 0;
                while (count < destination.Length && _waiting.TryDequeue(out byte value))
                {
                    destination[count++] = value;
                }

                if (count > 0 || destination.IsEmpty)
                {
                    _room.Set();
                    return count;
                }

                _changed.Reset();
            }

            try
            {
                _changed.Wait(closed);
            }
            catch (OperationCanceledException)
            {
                return 0;
            }
        }

        return 0;
    }

    private sealed class Reader(InputQueue queue) : Stream
    {
        private readonly CancellationTokenSource _closed = new();

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer) => queue.Take(buffer, _closed.Token);

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            _closed.Cancel();
            base.Dispose(disposing);
        }
    }
}
