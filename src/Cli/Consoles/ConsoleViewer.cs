using System.Text;

namespace Dbt.Cli.Consoles;

/// <summary>
/// Somebody who watches a guest's console. One who doesn't keep up misses some of it, and is told so: the guest never waits for a viewer.
/// </summary>
internal sealed class ConsoleViewer(Action<ConsoleViewer> leave) : IDisposable
{
    /// <summary>Bytes that wait for a viewer at most.</summary>
    public const int MostWaiting = 1 << 20;

    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _changed = new(0);
    private MemoryStream _waiting = new();
    private long _missed;
    private bool _ended;

    /// <summary>Takes what was written since, waiting for some.</summary>
    /// <returns>Null where the console has ended, and everything was taken.</returns>
    public async Task<byte[]?> ReadAsync(CancellationToken cancellation)
    {
        while (true)
        {
            lock (_lock)
            {
                if (_waiting.Length > 0)
                {
                    byte[] bytes = _waiting.ToArray();
                    _waiting = new MemoryStream();
                    return bytes;
                }

                if (_ended)
                {
                    return null;
                }
            }

            await _changed.WaitAsync(cancellation).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => leave(this);

    /// <summary>The guest wrote.</summary>
    internal void Add(ReadOnlySpan<byte> bytes)
    {
        lock (_lock)
        {
            if (_waiting.Length + bytes.Length > MostWaiting)
            {
                _missed += bytes.Length;
                return;
            }

            if (_missed > 0)
            {
                _waiting.Write(Encoding.ASCII.GetBytes($"\r\n[dbt: {_missed} bytes are left out, which came too fast]\r\n"));
                _missed = 0;
            }

            bool first = _waiting.Length == 0;
            _waiting.Write(bytes);
            if (first)
            {
                _changed.Release();
            }
        }
    }

    /// <summary>There will be no more.</summary>
    internal void End()
    {
        lock (_lock)
        {
            _ended = true;
            _changed.Release();
        }
    }
}
