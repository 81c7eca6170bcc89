using System.Runtime.InteropServices;

namespace Dbt.Devices.Network.Nat;

/// <summary>
/// Frames on their way from the guest to the network's thread: a ring of bytes, any number of writers, one reader, nothing allocated. The
/// copy frees the guest's ring at once and keeps the sender, who may hold locks of its own, out of everything that happens here.
/// </summary>
internal sealed class FrameQueue(int capacity)
{
    private const int HeaderSize = 16;
    private const int Skip = -1;

    private readonly byte[] _bytes = new byte[capacity];
    private readonly Lock _gate = new();

    // Positions only grow; modulo the capacity they are places.
    private long _read, _written;
    private bool _refused;

    /// <summary>Whether there is a frame. Any thread.</summary>
    public bool HasFrames => Volatile.Read(ref _written) != Volatile.Read(ref _read);

    /// <summary>Puts a frame in.</summary>
    /// <returns>False where there is no room.</returns>
    public bool TryAdd(ReadOnlySpan<byte> frame, FrameOffload offload)
    {
        int size = HeaderSize + ((frame.Length + 15) & ~15);
        lock (_gate)
        {
            int place = (int)(_written % capacity);
            int gap = capacity - place < size ? capacity - place : 0;
            if (_written + gap + size - Volatile.Read(ref _read) > capacity)
            {
                _refused = true;
                return false;
            }

            if (gap != 0)
            {
                MemoryMarshal.Write(_bytes.AsSpan(place), Skip);
                place = 0;
            }

            Span<byte> record = _bytes.AsSpan(place, size);
            MemoryMarshal.Write(record, frame.Length);
            MemoryMarshal.Write(record[4..], new Header(offload));
            frame.CopyTo(record[HeaderSize..]);
            Volatile.Write(ref _written, _written + gap + size);
            return true;
        }
    }

    /// <summary>The oldest frame, in place until <see cref="Remove"/>.</summary>
    public bool TryPeek(out ReadOnlySpan<byte> frame, out FrameOffload offload)
    {
        frame = default;
        offload = default;
        if (!HasFrames)
        {
            return false;
        }

        int place = (int)(_read % capacity);
        if (MemoryMarshal.Read<int>(_bytes.AsSpan(place)) == Skip)
        {
            Volatile.Write(ref _read, _read + capacity - place);
            place = 0;
        }

        frame = _bytes.AsSpan(place + HeaderSize, MemoryMarshal.Read<int>(_bytes.AsSpan(place)));
        offload = MemoryMarshal.Read<Header>(_bytes.AsSpan(place + 4)).Offload;
        return true;
    }

    /// <summary>Gives the place of the frame that was looked at back.</summary>
    public void Remove() =>
        Volatile.Write(ref _read, _read + HeaderSize + ((MemoryMarshal.Read<int>(_bytes.AsSpan((int)(_read % capacity))) + 15) & ~15));

    /// <summary>Whether a frame was refused and half of the queue is free again; true once for each time.</summary>
    public bool HasRoomAgain()
    {
        lock (_gate)
        {
            bool room = _refused && _written - _read <= capacity / 2;
            _refused &= !room;
            return room;
        }
    }

    private readonly struct Header(FrameOffload offload)
    {
        private readonly byte _flags = (byte)((offload.ChecksumBlank ? 1 : 0) | (offload.DataValidated ? 2 : 0));
        private readonly SegmentationKind _kind = offload.Segmentation;
        private readonly ushort _segmentSize = offload.SegmentSize;

        public FrameOffload Offload => new((_flags & 1) != 0, (_flags & 2) != 0, _kind, _segmentSize);
    }
}
