using Dbt.Translator.Memory;

namespace Dbt.Translator;

/// <summary>
/// Which machine frames hold translated code. Everything that writes guest memory outside translated code calls <see cref="Written"/> after the
/// bytes have changed. A processor on its own thread, with an address that it resolved for writing, need only do so where
/// <see cref="HasCode(uint)"/> is true: the frame was marked in <see cref="Dirty"/> when the address was resolved. Thread-safe.
/// </summary>
public sealed unsafe class CodeMap
{
    // Of the collected heap: what refers to a map outlives the machine now and then.
    private readonly byte[] _flags;
    private readonly byte* _memoryBase;
    private readonly uint _frames;
    private readonly Dictionary<uint, int> _holders;
    private readonly CodeMap _machine;

    /// <summary>The machine's.</summary>
    /// <param name="memoryBase">Host address of machine frame 0.</param>
    /// <param name="frames">Number of machine frames.</param>
    public CodeMap(byte* memoryBase, uint frames)
    {
        _memoryBase = memoryBase;
        _frames = frames;
        _flags = new byte[frames];
        Dirty = new DirtyLog(frames);
        _holders = [];
        _machine = this;
    }

    /// <summary>
    /// One domain's part of the machine's: the marks are the same, but only writes to frames of that domain are told here. A processor is not
    /// disturbed by what other domains do, and one that sleeps doesn't collect their writes.
    /// </summary>
    /// <param name="machine">The machine's, whose <see cref="Owner"/> leads here.</param>
    public CodeMap(CodeMap machine)
    {
        _machine = machine;
        _memoryBase = machine._memoryBase;
        _frames = machine._frames;
        _flags = machine._flags;
        Dirty = machine.Dirty;
        _holders = machine._holders;
    }

    /// <summary>On the machine's: whose frame it is; where it isn't set, or gives null, writes are told by the machine's own event. Any thread.</summary>
    public Func<uint, CodeMap?>? Owner { get; set; }

    /// <summary>Raised by <see cref="Written"/>, on the writer's thread: frame, first byte offset, length within the frame.</summary>
    public event Action<uint, int, int>? CodeWritten;

    /// <summary>Which frames were written, where somebody wants to know; the machine's, whichever part this is.</summary>
    public DirtyLog Dirty { get; }

    /// <summary>Whether who has written to a host address has to call <see cref="Written"/>.</summary>
    public bool Watches(byte* host) => HasCode(host) || Dirty.IsOn;

    /// <summary>Whether a frame holds translated code.</summary>
    public bool HasCode(uint frame) => _flags[frame] != 0;

    /// <summary>Whether the frame of a host address holds translated code. Memory outside the machine's frames holds none.</summary>
    public bool HasCode(byte* host)
    {
        ulong frame = (ulong)(host - _memoryBase) >> 12;
        return frame < _frames && _flags[frame] != 0;
    }

    /// <summary>Marks or unmarks a frame, whoever may hold it. Engines use <see cref="Hold"/>.</summary>
    public void Mark(uint frame, bool hasCode) => Volatile.Write(ref _flags[frame], hasCode ? (byte)1 : (byte)0);

    /// <summary>Marks a frame on behalf of one engine; the mark stays until each has called <see cref="Release"/>.</summary>
    public void Hold(uint frame)
    {
        lock (_holders)
        {
            System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(_holders, frame, out _)++;
            Mark(frame, true);
        }
    }

    /// <summary>Ends one engine's <see cref="Hold"/>.</summary>
    public void Release(uint frame)
    {
        lock (_holders)
        {
            if (_holders.TryGetValue(frame, out int count) && count > 1)
            {
                _holders[frame] = count - 1;
                return;
            }

            _holders.Remove(frame);
            Mark(frame, false);
        }
    }

    /// <summary>Tells that <paramref name="length"/> bytes at <paramref name="host"/> (any length, may span frames) were written.</summary>
    public void Written(byte* host, int length)
    {
        ulong start = (ulong)(host - _memoryBase);
        ulong end = start + (ulong)length;
        if (Dirty.IsOn)
        {
            Dirty.Mark(start, length);
        }

        while (start < end)
        {
            uint frame = (uint)(start >> 12);
            int offset = (int)(start & 0xFFF);
            int count = (int)Math.Min(end - start, (ulong)(4096 - offset));
            if (HasCode(frame))
            {
                (_machine.Owner?.Invoke(frame) ?? _machine).CodeWritten?.Invoke(frame, offset, count);
            }

            start += (ulong)count;
        }
    }
}
