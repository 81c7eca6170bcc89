namespace Dbt.Cli.Terminal;

/// <summary>
/// Reads standard input on a thread of its own and hands it to whichever guest runs at the time: a read of a terminal can't be
/// interrupted, so it must not belong to a guest that may be restarted. On a terminal, ^] is not passed on but leaves.
/// </summary>
internal sealed class InputPump
{
    private const byte Escape = 0x1D;
    private const int MostWaiting = 1 << 20;

    private readonly Lock _lock = new();
    private readonly Queue<byte> _waiting = new();
    private readonly ManualResetEventSlim _changed = new(false);
    private readonly ManualResetEventSlim _room = new(true);
    private readonly Stream _source;
    private readonly Action? _onEscape;
    private bool _ended;

    /// <param name="source">Where input comes from.</param>
    /// <param name="onEscape">Called on the reading thread when ^] is typed; null where it has no special meaning.</param>
    public InputPump(Stream source, Action? onEscape)
    {
        _source = source;
        _onEscape = onEscape;
    }

    /// <summary>Whether a person types it.</summary>
    public bool IsTyped => _onEscape is not null;

    /// <summary>Starts reading.</summary>
    public void Start() => new Thread(Read) { IsBackground = true, Name = "console input" }.Start();

    /// <summary>A guest's view of the input. Disposing it ends a read that waits.</summary>
    public Stream OpenReader() => new Reader(this);

    private void Read()
    {
        byte[] buffer = new byte[4096];
        while (true)
        {
            int count = TryRead(buffer);
            int escape = _onEscape is null ? -1 : buffer.AsSpan(0, count).IndexOf(Escape);
            Add(buffer.AsSpan(0, escape < 0 ? count : escape), ended: count == 0 || escape >= 0);
            if (escape >= 0)
            {
                _onEscape!();
            }

            if (count == 0 || escape >= 0)
            {
                return;
            }

            _room.Wait();
        }
    }

    private int TryRead(byte[] buffer)
    {
        try
        {
            return _source.Read(buffer);
        }
        catch (IOException)
        {
            return 0; // the terminal has hung up: no more input
        }
    }

    private void Add(ReadOnlySpan<byte> bytes, bool ended)
    {
        lock (_lock)
        {
            foreach (byte value in bytes)
            {
                _waiting.Enqueue(value);
            }

            _ended |= ended;
            if (_waiting.Count >= MostWaiting)
            {
                _room.Reset();
            }

            _changed.Set();
        }
    }

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

                if (count > 0 || _ended || destination.IsEmpty)
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

    private sealed class Reader(InputPump pump) : Stream
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

        public override int Read(Span<byte> buffer) => pump.Take(buffer, _closed.Token);

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
