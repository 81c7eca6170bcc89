using System.Buffers.Binary;

namespace Dbt.Devices.Network.Frontend;

/// <summary>One queue's receive ring: frames are copied into the pages that the guest posted.</summary>
internal sealed unsafe class ReceiveSide(
    IFrontend frontend, SlotRing ring, IEventLink link, VifFeatures features, VifCounters counters, string name) : IDisposable
{
    /// <summary>Bytes of a slot.</summary>
    public const int SlotSize = 8;

    private const int PageSize = 4096, MaxLooks = 4;
    private const ushort ValidatedFlag = 1, BlankFlag = 2, MoreFlag = 4, ExtraFlag = 8;

    // Slots that a refused frame needs; 0 where none was refused.
    private uint _wanted;

    /// <summary>Whether the guest's indices make no sense.</summary>
    public bool IsBroken => ring.IsBroken;

    /// <summary>Gives the guest a frame.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="offload">What is left undone in it, no more than the guest takes.</param>
    /// <param name="hash">The flow's hash, where the guest wants to know it.</param>
    /// <returns>False where the guest has posted too few pages; it is asked for an event when it posts more.</returns>
    public bool TrySend(ReadOnlySpan<byte> frame, FrameOffload offload, (HashType Type, uint Value)? hash)
    {
        uint pages = (uint)((frame.Length + PageSize - 1) / PageSize);
        bool cut = offload.Segmentation != SegmentationKind.None;
        uint needed = pages + (cut ? 1u : 0) + (hash is null ? 0u : 1u);
        if (needed > ring.Size || (pages > 1 && !features.ScatterGather))
        {
            counters.CountReceiveDrop();
            return true;
        }

        if (!HasRoom(needed))
        {
            if (ring.IsBroken || !features.ReceiveNotify)
            {
                // Without a promise to tell when it posts more, waiting could be for ever.
                counters.CountReceiveDrop();
                return true;
            }

            _wanted = needed;
            return false;
        }

        Fill(frame, offload, hash);
        ring.Consume(needed);
        if (ring.Push())
        {
            link.Notify();
        }

        return true;
    }

    /// <summary>Whether a frame was refused and may be sent again now.</summary>
    public bool TakeRoomAvailable()
    {
        if (_wanted == 0 || (!HasRoom(_wanted) && !ring.IsBroken))
        {
            return false;
        }

        _wanted = 0;
        return true;
    }

    /// <inheritdoc/>
    public void Dispose() => ring.Dispose();

    private bool HasRoom(uint needed)
    {
        for (int i = 0; i < MaxLooks; i++)
        {
            if (ring.Available() >= needed)
            {
                return true;
            }

            if (!ring.HasMore(needed))
            {
                return false;
            }
        }

        return false;
    }

    private void Fill(ReadOnlySpan<byte> frame, FrameOffload offload, (HashType Type, uint Value)? hash)
    {
        bool cut = offload.Segmentation != SegmentationKind.None;
        bool extra = cut || hash is not null;
        var flags = (ushort)((offload.ChecksumBlank ? BlankFlag | ValidatedFlag : offload.DataValidated ? ValidatedFlag : 0)
            | (extra ? ExtraFlag : 0));
        uint slot = 0;
        int length = frame.Length;
        bool failed = false;
        while (!frame.IsEmpty)
        {
            ReadOnlySpan<byte> piece = frame[..Math.Min(frame.Length, PageSize)];
            frame = frame[piece.Length..];
            failed |= !FillSlot(slot, piece, (ushort)(flags | (frame.IsEmpty ? 0 : MoreFlag)));
            flags = 0;
            slot++;
            if (extra)
            {
                slot += PutExtras(offload, hash);
                extra = false;
            }
        }

        if (failed)
        {
            counters.CountReceiveDrop();
        }
        else
        {
            counters.CountReceived(length);
        }
    }

    private uint PutExtras(FrameOffload offload, (HashType Type, uint Value)? hash)
    {
        Span<byte> extra = stackalloc byte[ExtraInfo.Length];
        uint count = 0;
        if (offload.Segmentation != SegmentationKind.None)
        {
            ExtraInfo.WriteSegmentation(extra, offload, hash is not null);
            ring.Put(extra);
            count++;
        }

        if (hash is { } known)
        {
            ExtraInfo.WriteHash(extra, known.Type, known.Value);
            ring.Put(extra);
            count++;
        }

        return count;
    }

    private bool FillSlot(uint slot, ReadOnlySpan<byte> piece, ushort flags)
    {
        Span<byte> entry = stackalloc byte[SlotSize];
        ring.Fetch(slot, entry);
        uint reference = BinaryPrimitives.ReadUInt32LittleEndian(entry[4..]);
        bool mapped = frontend.TryPinGrant(reference, true, out PinnedGrant page);
        if (mapped)
        {
            piece.CopyTo(new Span<byte>(page.Host, piece.Length));
            frontend.MarkWritten(page.Host, piece.Length);
            frontend.Unpin(page);
        }
        else
        {
            frontend.Log.AddOnce($"{name}: the guest posted a page that it didn't grant (reference {reference})");
        }

        // The id stays what it was; offset 0.
        BinaryPrimitives.WriteUInt16LittleEndian(entry[2..], 0);
        BinaryPrimitives.WriteUInt16LittleEndian(entry[4..], flags);
        BinaryPrimitives.WriteInt16LittleEndian(entry[6..], mapped ? (short)piece.Length : (short)VifStatus.Error);
        ring.Put(entry);
        return mapped;
    }
}
