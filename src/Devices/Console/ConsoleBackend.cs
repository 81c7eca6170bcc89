using Dbt.Runtime.Threads;

namespace Dbt.Devices.Console;

/// <summary>
/// Serves a guest's console: one thread takes output to a stream and input to the ring, another reads the input stream. Output is taken
/// at once, because guests spin until the ring is drained; it is taken a last time when the back end stops, so that nothing a guest said
/// before it shut down is lost. Input waits, in the stream it comes from, until the guest has room.
/// </summary>
internal sealed partial class ConsoleBackend : IDisposable
{
    private const int PacedWait = 20;
    private readonly IFrontend _frontend;
    private readonly ISharedPage _page;
    private readonly ConsoleRing _ring;
    private readonly Stream _output;

    // Held while the ring is looked at, or while nobody may touch it.
    private readonly Lock _gate = new();
    private readonly IEventLink _link;
    private bool _held;
    private readonly AutoResetEvent _wake = new(true);
    private readonly SemaphoreSlim _inputTaken = new(0);
    private readonly byte[] _outputBuffer = new byte[ConsoleRing.OutputSize];
    private readonly byte[] _inputBuffer = new byte[4096];
    private readonly WorkThread _thread;
    private readonly InputPacer? _pacer;
    private readonly PromptWatch _prompt = new();
    private long _outputBytes;
    private bool _answeredPrompt;

    // The reader thread owns the input buffer while this is 0, the console's thread else.
    private int _inputLength;
    private int _inputOffset;
    private bool _outputFailed;
    private volatile bool _stopping;

    /// <summary>Starts to serve the ring.</summary>
    /// <exception cref="InvalidOperationException">The port isn't one that was made for this back end.</exception>
    public ConsoleBackend(IFrontend frontend, ISharedPage page, uint port, Stream? input, Stream output, bool paceInput = false)
        : this(frontend, page, port, input, output, paceInput, saved: null)
    {
    }

    /// <summary>Starts to serve the ring or, with a saved state, is held until <see cref="Release"/>.</summary>
    /// <exception cref="InvalidOperationException">The port isn't one that was made for this back end.</exception>
    /// <exception cref="Xen.Snapshot.SnapshotException">The state is not good.</exception>
    public ConsoleBackend(IFrontend frontend, ISharedPage page, uint port, Stream? input, Stream output, bool paceInput, Xen.Snapshot.SectionReader? saved)
    {
        _frontend = frontend;
        _page = page;
        _ring = new ConsoleRing(page);
        _output = output;
        _pacer = paceInput ? new InputPacer(_inputBuffer.Length) : null;
        if (!frontend.TryConnect(port, () => _wake.Set(), out IEventLink? link))
        {
            throw saved is null ? new InvalidOperationException($"console port {port} can't be connected") : saved.Error("the port of its ring can't be connected");
        }

        _link = link;
        if (saved is not null)
        {
            _held = true;
            try
            {
                Restore(saved);
            }
            catch
            {
                link.Dispose();
                throw;
            }
        }

        _thread = WorkThread.Start($"console {frontend.DomainId}", Run);
        if (input is not null)
        {
            WorkThread.Start($"console input {frontend.DomainId}", () => ReadInput(input));
        }
    }

    /// <summary>Bytes that the guest wrote so far.</summary>
    public long OutputBytes => Interlocked.Read(ref _outputBytes);

    /// <summary>Whether it has asked for input: what it wrote ends like a prompt, or got input when it did, or a line editor has spoken.</summary>
    public bool HasPrompted
    {
        get
        {
            lock (_prompt)
            {
                return _answeredPrompt || _prompt.IsAtPrompt || _prompt.SawLineEditor;
            }
        }
    }

    /// <summary>Takes the last output, then stops. The input's thread ends when its read returns.</summary>
    public void Dispose()
    {
        _stopping = true;
        _wake.Set();
        _thread.Join();
        _inputTaken.Release();
        _link.Dispose();
        _page.Dispose();
    }

    private void Run()
    {
        var idle = new BackOff();
        while (!_stopping)
        {
            bool held;
            lock (_gate)
            {
                held = _held;
                if (!held && (TakeOutput() | GiveInput()))
                {
                    TellOfCorruption();
                    idle.Reset();
                    _link.Notify();
                    continue;
                }
            }

            TellOfCorruption();

            // A guest may take input without an event, and a line that is held is due some time.
            _wake.WaitOne(held || Volatile.Read(ref _inputLength) == 0 ? Timeout.Infinite : _pacer is null ? idle.Next() : PacedWait);
        }

        // Bounded, for a guest that goes on writing while it is being stopped.
        for (int i = 0; i < 16 && !_held && TakeOutput(); i++)
        {
            _link.Notify();
        }
    }

    private bool TakeOutput()
    {
        int count = _ring.Peek(_outputBuffer);
        if (count == 0)
        {
            return false;
        }

        _pacer?.Output(_outputBuffer.AsSpan(0, count), Environment.TickCount64);
        lock (_prompt)
        {
            _prompt.Add(_outputBuffer.AsSpan(0, count));
            _outputBytes += count;
        }

        if (!_outputFailed)
        {
            try
            {
                _output.Write(_outputBuffer, 0, count);
                _output.Flush();
            }
            catch (Exception error) when (error is IOException or ObjectDisposedException)
            {
                // Whoever read the output has gone. The guest must not hang for that.
                _outputFailed = true;
                _frontend.Log.Add($"console: output can't be written any more: {error.Message}");
            }
        }

        _ring.Consume(count);
        return true;
    }

    private bool GiveInput()
    {
        int length = Volatile.Read(ref _inputLength);
        if (length == 0)
        {
            return false;
        }

        Span<byte> waiting = _inputBuffer.AsSpan(_inputOffset, length - _inputOffset);
        if (_pacer is not null)
        {
            waiting = waiting[.._pacer.Allow(waiting, _ring.IsInputTaken, Environment.TickCount64)];
        }

        int count = _ring.Offer(waiting);
        _pacer?.Given(waiting[..count], Environment.TickCount64);
        if (count > 0)
        {
            lock (_prompt)
            {
                _answeredPrompt |= _prompt.IsAtPrompt;
            }
        }

        _inputOffset += count;
        if (_inputOffset == length)
        {
            _inputOffset = 0;
            Volatile.Write(ref _inputLength, 0);
            _inputTaken.Release();
        }

        return count > 0;
    }

    private void ReadInput(Stream input)
    {
        if (Volatile.Read(ref _inputLength) != 0)
        {
            // What had been read before the guest came here.
            _inputTaken.Wait();
        }

        while (!_stopping)
        {
            int count;
            try
            {
                count = input.Read(_inputBuffer, 0, _inputBuffer.Length);
            }
            catch (Exception error) when (error is IOException or ObjectDisposedException)
            {
                _frontend.Log.Add($"console: input can't be read any more: {error.Message}");
                return;
            }

            if (count <= 0)
            {
                return;
            }

            _pacer?.Read(count);
            Volatile.Write(ref _inputLength, count);
            _wake.Set();
            _inputTaken.Wait();
        }
    }

    private void TellOfCorruption()
    {
        if (_ring.WasCorrupt)
        {
            _frontend.Log.AddOnce("console: the guest's ring indices make no sense; nothing is taken or given until they do");
        }
    }
}
