namespace Dbt.Cli.Consoles;

/// <summary>The last bytes of a console's output.</summary>
/// <param name="most">How many.</param>
internal sealed class ConsoleHistory(int most)
{
    private byte[] _bytes = new byte[Math.Min(most, 4096)];
    private int _count;
    private int _next;

    /// <summary>Adds some; the oldest go.</summary>
    public void Add(ReadOnlySpan<byte> bytes)
    {
        bytes = bytes[Math.Max(0, bytes.Length - most)..];
        Grow(bytes.Length);
        int first = Math.Min(bytes.Length, _bytes.Length - _next);
        bytes[..first].CopyTo(_bytes.AsSpan(_next));
        bytes[first..].CopyTo(_bytes);
        _next = (_next + bytes.Length) % _bytes.Length;
        _count = Math.Min(_count + bytes.Length, _bytes.Length);
    }

    /// <summary>A copy, oldest first.</summary>
    public byte[] ToArray()
    {
        byte[] copy = new byte[_count];
        int start = (_next - _count + _bytes.Length) % _bytes.Length;
        int first = Math.Min(_count, _bytes.Length - start);
        _bytes.AsSpan(start, first).CopyTo(copy);
        _bytes.AsSpan(0, _count - first).CopyTo(copy.AsSpan(first));
        return copy;
    }

    // Most guests write little: the buffer grows with what there is to keep.
    private void Grow(int more)
    {
        int wanted = Math.Min(most, _count + more);
        if (wanted > _bytes.Length)
        {
            byte[] larger = new byte[Math.Min(most, Math.Max(wanted, _bytes.Length * 2))];
            ToArray().CopyTo(larger, 0);
            _bytes = larger;
            _next = _count % larger.Length;
        }
    }
}
