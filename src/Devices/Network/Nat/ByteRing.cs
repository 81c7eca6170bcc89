namespace Dbt.Devices.Network.Nat;

/// <summary>
/// Bytes of one direction of a connection. Has memory only while it holds some, grows as it is used, and gives its bytes out in place,
/// with room for a header in front of each.
/// </summary>
internal sealed class ByteRing(BufferPool pool)
{
    private byte[]? _buffer;
    private int _size = BufferPool.Sizes[0];
    private int _head;

    // How far beyond the head something was written: more than Count where there are gaps.
    private int _extent;

    /// <summary>Bytes in order.</summary>
    public int Count { get; private set; }

    /// <summary>Room at the end in one piece, at most as asked for; less, or none, where memory is short.</summary>
    public Span<byte> Reserve(int wanted)
    {
        Grow(Count + wanted);
        int capacity = Capacity, tail = (_head + Count) % capacity;
        int room = Math.Min(capacity - Count, capacity - tail);
        return _buffer.AsSpan(BufferPool.Headroom + tail, Math.Min(room, wanted));
    }

    /// <summary>Takes what was written behind the end into the count.</summary>
    public void Commit(int count)
    {
        Count += count;
        _extent = Math.Max(_extent, Count);
    }

    /// <summary>Writes behind the end, a gap left between; all or, where there is no room, less.</summary>
    /// <returns>Bytes written.</returns>
    public int WriteAhead(int gap, ReadOnlySpan<byte> data)
    {
        Grow(Count + gap + data.Length);
        int capacity = Capacity, offset = Count + gap;
        int length = Math.Clamp(capacity - offset, 0, data.Length), place = (_head + offset) % capacity;
        int first = Math.Min(length, capacity - place);
        data[..first].CopyTo(_buffer.AsSpan(BufferPool.Headroom + place));
        data[first..length].CopyTo(_buffer.AsSpan(BufferPool.Headroom));
        _extent = Math.Max(_extent, length == 0 ? 0 : offset + length);
        return length;
    }

    /// <summary>Where bytes are, in one piece: at least <see cref="BufferPool.Headroom"/> bytes of the array are before them.</summary>
    /// <param name="offset">From the first.</param>
    /// <param name="length">How many are wanted, and are there; fewer where the ring's end is in between.</param>
    public (byte[] Buffer, int Place) Locate(int offset, ref int length)
    {
        int capacity = Capacity, place = (_head + offset) % capacity;
        length = Math.Min(length, capacity - place);
        return (_buffer!, BufferPool.Headroom + place);
    }

    /// <summary>The first bytes in one piece.</summary>
    public ReadOnlySpan<byte> Peek()
    {
        int length = Count;
        return length == 0 ? default : _buffer.AsSpan(BufferPool.Headroom + _head, Math.Min(length, Capacity - _head));
    }

    /// <summary>Drops the first bytes.</summary>
    public void Discard(int count)
    {
        Count -= count;
        _extent -= count;
        if (_extent <= 0)
        {
            Clear();
        }
        else
        {
            _head = (_head + count) % Capacity;
        }
    }

    /// <summary>Gives the memory back where nothing came into what was reserved.</summary>
    public void ReleaseIfEmpty()
    {
        if (_extent == 0)
        {
            Clear();
        }
    }

    /// <summary>Drops all, and gives the memory back.</summary>
    public void Clear()
    {
        if (_buffer is not null)
        {
            _size = Capacity;
            pool.Return(_buffer);
            _buffer = null;
        }

        Count = _extent = _head = 0;
    }

    private int Capacity => _buffer!.Length - BufferPool.Headroom;

    private void Grow(int wanted)
    {
        if (_buffer is not null && wanted <= Capacity)
        {
            return;
        }

        byte[]? old = _buffer;
        byte[] buffer = pool.Rent(Math.Max(wanted, old is null ? _size : 0));
        if (old is null)
        {
            _buffer = buffer;
            return;
        }

        if (buffer.Length <= old.Length)
        {
            pool.Return(buffer);
            return;
        }

        int first = old.Length - BufferPool.Headroom - _head;
        old.AsSpan(BufferPool.Headroom + _head, first).CopyTo(buffer.AsSpan(BufferPool.Headroom));
        old.AsSpan(BufferPool.Headroom, _head).CopyTo(buffer.AsSpan(BufferPool.Headroom + first));
        _head = 0;
        _buffer = buffer;
        pool.Return(old);
    }
}
