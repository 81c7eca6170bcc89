using Dbt.Devices.Network.Offload;
using Dbt.Devices.Network.Switch;
using Dbt.Xen.Snapshot;

namespace Dbt.Devices.Network.Frontend;

/// <summary>Frames that came for a guest while it was held, in their order; they go with it where it goes, and are its first. Bounded. Not thread-safe.</summary>
internal sealed class WaitingFrames
{
    // With what describes them they fit into a section of a saved state.
    private const int MostBytes = 2 << 20, MostFrame = 65_549, LeastSavedBytes = 8;
    private const byte Blank = 1, Validated = 2;

    private readonly FrameQueue _frames = new(MostBytes);
    private volatile bool _any;

    /// <summary>Gives the guest a frame; false where it doesn't take it now.</summary>
    public delegate bool Delivery(ReadOnlySpan<byte> frame, FrameOffload offload);

    /// <summary>Whether any wait. Any thread.</summary>
    public bool Any => _any;

    /// <summary>Keeps a frame.</summary>
    /// <returns>False where there is no room.</returns>
    public bool TryAdd(ReadOnlySpan<byte> frame, FrameOffload offload)
    {
        bool added = _frames.TryAdd(frame, offload);
        _any |= added;
        return added;
    }

    /// <summary>Gives them to the guest.</summary>
    /// <returns>Whether none waits any more.</returns>
    public bool TryDeliver(Delivery deliver)
    {
        while (!_frames.IsEmpty)
        {
            if (!deliver(_frames.Peek(out FrameOffload offload), offload))
            {
                return false;
            }

            _frames.Remove();
        }

        _any = false;
        return true;
    }

    /// <summary>Forgets them.</summary>
    public void Clear()
    {
        _frames.Clear();
        _any = false;
    }

    /// <summary>Writes them.</summary>
    public void Capture(SectionWriter writer)
    {
        writer.UInt32((uint)_frames.Count);
        foreach ((ReadOnlyMemory<byte> frame, FrameOffload offload) in _frames.All)
        {
            writer.Byte((byte)((offload.ChecksumBlank ? Blank : 0) | (offload.DataValidated ? Validated : 0)));
            writer.Byte((byte)offload.Segmentation);
            writer.UInt16(offload.SegmentSize);
            writer.Block(frame.Span);
        }
    }

    /// <summary>Reads what <see cref="Capture"/> wrote. What is in a frame is looked at no more than that of a frame which another guest sends.</summary>
    /// <exception cref="SnapshotException">It is what was never written.</exception>
    public static WaitingFrames Read(SectionReader reader)
    {
        var frames = new WaitingFrames();
        int count = reader.Count(FrameQueue.MaxFrames, LeastSavedBytes, "frames");
        for (int i = 0; i < count; i++)
        {
            byte flags = reader.Byte();
            var kind = (SegmentationKind)reader.Byte();
            ushort size = reader.UInt16();
            ReadOnlySpan<byte> frame = reader.Block(MostFrame);
            if (flags > (Blank | Validated) || kind > SegmentationKind.TcpV6 || (kind != SegmentationKind.None) != (size != 0) || frame.Length < FrameHeaders.EthernetLength
                || !frames.TryAdd(frame, new FrameOffload((flags & Blank) != 0, (flags & Validated) != 0, kind, size)))
            {
                throw reader.Error("a frame is none, or there are too many");
            }
        }

        reader.End();
        return frames;
    }
}
