using Iced.Intel;

namespace Dbt.Translator.Interpretation;

/// <summary>
/// Feeds Iced's decoder from guest memory. Each byte is fetched once, and kept, so that what was decoded can be compared later.
/// </summary>
internal sealed unsafe class PageCodeReader : CodeReader
{
    private readonly byte[] _bytes = new byte[16];
    private byte* _next;
    private byte* _end;
    private int _consumed;

    /// <summary>The bytes handed out since <see cref="Start"/>, 16 at most.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes.AsSpan(0, Math.Min(_consumed, _bytes.Length));

    /// <summary>Reads one instruction from <paramref name="start"/>, up to <paramref name="end"/>, exclusive.</summary>
    public void Start(byte* start, byte* end)
    {
        _next = start;
        _end = end;
        _consumed = 0;
    }

    /// <inheritdoc/>
    public override int ReadByte()
    {
        if (_next >= _end)
        {
            return -1;
        }

        byte value = Volatile.Read(ref *_next++);
        if (_consumed < _bytes.Length)
        {
            _bytes[_consumed] = value;
        }

        _consumed++;
        return value;
    }
}
