namespace Dbt.Devices.Network.Frontend;

/// <summary>
/// Takes one frame at a time off the transmit ring: its slots and extra infos are copied and checked (the format is that of netif.h, "Guest
/// transmit"), then its bytes are copied out of the guest's pages, once, into a buffer of ours.
/// </summary>
internal sealed unsafe class FrameGatherer(IFrontend frontend, SlotRing ring, string name)
{
    // netif.h: XEN_NETIF_NR_SLOTS_MIN. More than the second number is no frame but an attack, or a bug.
    private const int MaxSlots = 20;
    private const int PageSize = 4096;

    private readonly TransmitRequest[] _slots = new TransmitRequest[MaxSlots];
    private readonly byte[] _bytes = new byte[ushort.MaxValue];
    private int _count;
    private int _extras;

    /// <summary>Why the ring can't be used any more; null while it can.</summary>
    public string? Failure { get; private set; }

    /// <summary>The frame.</summary>
    public ReadOnlySpan<byte> Frame => _bytes.AsSpan(0, _slots[0].Size);

    /// <summary>The frame, to be changed in place.</summary>
    public Span<byte> Writable => _bytes.AsSpan(0, _slots[0].Size);

    /// <summary>The frame's first slot.</summary>
    public TransmitRequest First => _slots[0];

    /// <summary>What the frame's extra info says about cutting it; null for none.</summary>
    public ExtraInfo? Segmentation { get; private set; }

    /// <summary>The change of the multicast filter that came in place of a frame; null for none.</summary>
    public ExtraInfo? Multicast { get; private set; }

    /// <summary>Takes the next frame's slots off the ring.</summary>
    /// <param name="available">How many slots there are, above zero.</param>
    /// <param name="good">Whether the slots make sense; else the frame gets an error response.</param>
    /// <returns>False with <see cref="Failure"/> set where it can't be told where the frame ends, or worse.</returns>
    public bool TryTake(uint available, out bool good)
    {
        good = true;
        Segmentation = Multicast = null;
        _extras = 0;
        Span<byte> slot = stackalloc byte[TransmitRequest.SlotSize];
        ring.Fetch(0, slot);
        TransmitRequest first = TransmitRequest.Read(slot);
        uint used = 1;
        bool more = first.HasExtra;
        while (more)
        {
            if (used == available)
            {
                return Fail("a frame's extra info is missing");
            }

            ring.Fetch(used++, slot);
            var extra = ExtraInfo.Read(slot);
            if (!extra.IsKnown)
            {
                return Fail("a frame has extra info of an unknown kind");
            }

            _extras++;
            more = extra.HasMore;
            Keep(extra);
        }

        return TryTakeSlots(first, available, used, ref good);
    }

    /// <summary>Copies the frame's bytes out of the guest's pages.</summary>
    /// <returns>False where a page isn't granted.</returns>
    public bool TryCopy()
    {
        int position = 0;
        for (int i = 0; i < _count; i++)
        {
            // The first slot's size is the whole frame's; what the others don't have is its own.
            int size = i == 0 ? FirstPiece : _slots[i].Size;
            if (size == 0)
            {
                continue;
            }

            if (!frontend.TryPinGrant(_slots[i].Reference, false, out PinnedGrant page))
            {
                frontend.Log.AddOnce($"{name}: the guest sent a page that it didn't grant (reference {_slots[i].Reference})");
                return false;
            }

            new ReadOnlySpan<byte>(page.Host + _slots[i].Offset, size).CopyTo(_bytes.AsSpan(position));
            frontend.Unpin(page);
            position += size;
        }

        return true;
    }

    /// <summary>Puts the responses of the frame's slots into the ring, in their order; the guest doesn't see them yet.</summary>
    public void Respond(VifStatus status)
    {
        PutResponse(_slots[0].Id, status);
        for (int i = 0; i < _extras; i++)
        {
            PutResponse(0, VifStatus.Null);
        }

        for (int i = 1; i < _count; i++)
        {
            PutResponse(_slots[i].Id, status);
        }
    }

    private int FirstPiece { get; set; }

    private bool TryTakeSlots(TransmitRequest first, uint available, uint used, ref bool good)
    {
        Span<byte> slot = stackalloc byte[TransmitRequest.SlotSize];
        _slots[0] = first;
        _count = 1;
        int rest = first.Size;
        bool more = first.HasMoreData;
        while (more)
        {
            if (used == available)
            {
                return Fail("a frame's last slots are missing");
            }

            if (_count == MaxSlots)
            {
                return Fail("a frame has too many slots");
            }

            ring.Fetch(used++, slot);
            TransmitRequest request = TransmitRequest.Read(slot);
            if (request.Offset + request.Size > PageSize)
            {
                return Fail("a piece of a frame crosses its page");
            }

            // Pieces that are longer than the frame: taken to its end, for the responses, and refused.
            good &= request.Size <= rest;
            rest -= Math.Min(rest, request.Size);
            _slots[_count++] = request;
            more = request.HasMoreData;
        }

        if (first.Offset + rest > PageSize)
        {
            return Fail("a piece of a frame crosses its page");
        }

        FirstPiece = rest;
        ring.Consume(used);
        return true;
    }

    private void Keep(in ExtraInfo extra)
    {
        switch (extra.Kind)
        {
            case ExtraKind.Segmentation:
                Segmentation = extra;
                break;
            case ExtraKind.MulticastAdd or ExtraKind.MulticastRemove:
                Multicast = extra;
                break;
            default:
                // A hash is a hint that nobody here has a use for.
                break;
        }
    }

    private void PutResponse(ushort id, VifStatus status)
    {
        Span<byte> response = stackalloc byte[4];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt16LittleEndian(response, id);
        System.Buffers.Binary.BinaryPrimitives.WriteInt16LittleEndian(response[2..], (short)status);
        ring.Put(response);
    }

    private bool Fail(string why)
    {
        Failure = why;
        return false;
    }
}
