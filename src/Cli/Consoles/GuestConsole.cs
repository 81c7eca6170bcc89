using Dbt.Cli.Terminal;

namespace Dbt.Cli.Consoles;

/// <summary>
/// A guest's console over all its lives: what it writes goes to everybody who watches, and is kept, bounded, for who comes later. What anybody
/// types goes to the guest. Any thread.
/// </summary>
/// <param name="first">Where output goes besides, at once and in full: the terminal of <c>dbt run</c>. Not disposed.</param>
internal sealed class GuestConsole(Stream? first = null) : Stream
{
    /// <summary>Bytes of output that are kept.</summary>
    public const int Kept = 128 << 10;

    private readonly Lock _lock = new();
    private readonly ConsoleHistory _history = new(Kept);
    private readonly List<ConsoleViewer> _viewers = [];
    private bool _ended;

    /// <summary>What is typed.</summary>
    public InputQueue Input { get; } = new();

    /// <summary>Whether input comes from a file or a pipe, and is to go to the guest line by line, as it asks.</summary>
    public bool IsPaced { get; set; }

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
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Watches: what was kept comes first.</summary>
    public ConsoleViewer Watch()
    {
        var viewer = new ConsoleViewer(Leave);
        lock (_lock)
        {
            viewer.Add(_history.ToArray());
            if (_ended)
            {
                viewer.End();
            }
            else
            {
                _viewers.Add(viewer);
            }
        }

        return viewer;
    }

    /// <summary>A console of its own with what was kept of this one.</summary>
    public GuestConsole Copy()
    {
        var copy = new GuestConsole();
        lock (_lock)
        {
            copy._history.Add(_history.ToArray());
        }

        return copy;
    }

    /// <summary>The guest has ended for good.</summary>
    public void End()
    {
        lock (_lock)
        {
            _ended = true;
            _viewers.ForEach(static viewer => viewer.End());
            _viewers.Clear();
        }
    }

    /// <inheritdoc/>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        lock (_lock)
        {
            _history.Add(buffer);
            foreach (ConsoleViewer viewer in _viewers)
            {
                viewer.Add(buffer);
            }
        }

        first?.Write(buffer);
    }

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override void Flush() => first?.Flush();

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException();

    private void Leave(ConsoleViewer viewer)
    {
        lock (_lock)
        {
            _viewers.Remove(viewer);
        }
    }
}
