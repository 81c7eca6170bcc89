namespace Dbt.Cli.Terminal;

/// <summary>
/// Reads standard input on a thread of its own into a guest's queue: a read of a terminal can't be interrupted, so it must not belong to a
/// guest that may be restarted. On a terminal, the escape key (^]) is not passed on but leaves.
/// </summary>
internal sealed class InputPump
{
    /// <summary>^].</summary>
    public const byte DefaultEscape = 0x1D;

    private readonly Stream _source;
    private readonly Action? _onEscape;
    private readonly byte _escape;

    /// <param name="source">Where input comes from.</param>
    /// <param name="onEscape">Called on the reading thread when the escape key is typed; null where it has no special meaning.</param>
    /// <param name="escape">The escape key.</param>
    public InputPump(Stream source, Action? onEscape, byte escape = DefaultEscape)
    {
        _source = source;
        _onEscape = onEscape;
        _escape = escape;
    }

    /// <summary>Whether a person types it.</summary>
    public bool IsTyped => _onEscape is not null;

    /// <summary>Starts reading into a queue.</summary>
    public void Start(InputQueue queue) => Start(bytes =>
    {
        queue.Add(bytes);
        queue.AwaitRoom();
    });

    /// <summary>Starts reading.</summary>
    /// <param name="take">Takes what was read, on the reading thread; nothing more is read until it returns.</param>
    /// <param name="ended">Called there when there is no more input, and nobody left.</param>
    public void Start(TakeInput take, Action? ended = null) =>
        new Thread(() => Read(take, ended)) { IsBackground = true, Name = "console input" }.Start();

    private void Read(TakeInput take, Action? ended)
    {
        byte[] buffer = new byte[4096];
        while (true)
        {
            int count = TryRead(buffer);
            if (count == 0)
            {
                ended?.Invoke();
                return;
            }

            int escape = _onEscape is null ? -1 : buffer.AsSpan(0, count).IndexOf(_escape);
            take(buffer.AsSpan(0, escape < 0 ? count : escape));
            if (escape >= 0)
            {
                _onEscape!();
                return;
            }
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
}

/// <summary>Takes input that was read.</summary>
internal delegate void TakeInput(ReadOnlySpan<byte> bytes);
