using Dbt.Devices.Network.Announcement;
using Dbt.Devices.Network.Offload;

namespace Dbt.Devices.Network.Frontend;

/// <summary>How a round over a ring ended.</summary>
internal enum RoundResult
{
    /// <summary>Nothing is left; an event will tell.</summary>
    Idle,

    /// <summary>There is more.</summary>
    More,

    /// <summary>A frame waits for room at the other end of the cable.</summary>
    Stalled,

    /// <summary>The ring can't be used any more.</summary>
    Failed,
}

/// <summary>One queue's transmit ring: frames go from the guest to what its card is plugged into.</summary>
internal sealed class TransmitSide : IDisposable
{
    private readonly SlotRing _ring;
    private readonly IEventLink _link;
    private readonly INetworkEnd _to;
    private readonly MulticastFilter _multicast;
    private readonly LearnedAddresses _addresses;
    private readonly TokenBucket? _allowance;
    private readonly VifCounters _counters;
    private readonly FrameGatherer _gatherer;
    private readonly FrameAdapter _adapter = new();

    // The frame that was taken off the ring and isn't answered yet.
    private bool _held;
    private bool _allowed;
    private FrameOffload _offload;
    private int _sent;

    /// <summary>Takes over the ring, not the link.</summary>
    public TransmitSide(
        IFrontend frontend, SlotRing ring, IEventLink link, INetworkEnd to, MulticastFilter multicast, LearnedAddresses addresses, TokenBucket? allowance,
        VifCounters counters, string name)
    {
        _ring = ring;
        _link = link;
        _to = to;
        _multicast = multicast;
        _addresses = addresses;
        _allowance = allowance;
        _counters = counters;
        _gatherer = new FrameGatherer(frontend, ring, name);
    }

    /// <summary>Why the ring can't be used any more, after <see cref="RoundResult.Failed"/>.</summary>
    public string Failure => _gatherer.Failure ?? "the frontend's ring indices make no sense";

    /// <summary>How long the guest's allowance makes the held frame wait; null where it doesn't.</summary>
    public TimeSpan? Wait { get; private set; }

    /// <summary>Sends what is on the ring, at most as many frames as it has slots.</summary>
    public RoundResult Round()
    {
        for (uint i = 0; i < _ring.Size; i++)
        {
            if (!_held)
            {
                uint available = _ring.Available();
                if (available == 0)
                {
                    return _ring.IsBroken ? RoundResult.Failed : _ring.HasMore() ? RoundResult.More : RoundResult.Idle;
                }

                if (!_gatherer.TryTake(available, out bool good))
                {
                    return RoundResult.Failed;
                }

                if (!good)
                {
                    Answer(VifStatus.Error);
                    continue;
                }

                if (!Prepare())
                {
                    continue;
                }
            }

            if (!TryDeliver())
            {
                return RoundResult.Stalled;
            }
        }

        return RoundResult.More;
    }

    /// <summary>Gives the ring up with the frame that is held still on it: whoever takes the ring up again meets it anew.</summary>
    public void Leave() => _ring.Dispose();

    /// <summary>Answers the frame that is held, so that nothing of the guest's is lost sight of, and gives the ring up.</summary>
    public void Dispose()
    {
        if (_held)
        {
            Answer(VifStatus.Dropped);
        }

        _ring.Dispose();
    }

    // Copies and checks what was taken; true where it is a frame to be sent on, else it was answered.
    private bool Prepare()
    {
        if (_gatherer.Multicast is { } change)
        {
            Answer(Change(change));
            return false;
        }

        TransmitRequest first = _gatherer.First;
        if (first.Size < FrameHeaders.EthernetLength || !_gatherer.TryCopy() || !TryReadOffload(first))
        {
            Answer(VifStatus.Error);
            return false;
        }

        _held = true;
        _allowed = _allowance is null;
        _sent = 0;
        return true;
    }

    private VifStatus Change(in ExtraInfo change)
    {
        if (change.Kind == ExtraKind.MulticastAdd)
        {
            return _multicast.TryAdd(change.Address) ? VifStatus.Okay : VifStatus.Error;
        }

        _multicast.Remove(change.Address);
        return VifStatus.Okay;
    }

    // Whoever gets the frame may rely on it: what is said to be undone can be done.
    private bool TryReadOffload(TransmitRequest first)
    {
        SegmentationKind kind = SegmentationKind.None;
        ushort size = 0;
        if (_gatherer.Segmentation is { } extra)
        {
            if (extra.Segmentation is not { } asked || (asked != SegmentationKind.None && extra.SegmentSize == 0))
            {
                return false;
            }

            kind = asked;
            size = kind == SegmentationKind.None ? (ushort)0 : extra.SegmentSize;
        }

        bool blank = first.IsChecksumBlank || kind != SegmentationKind.None;
        if (blank)
        {
            if (!FrameHeaders.TryParse(_gatherer.Frame, out FrameHeaders headers))
            {
                return false;
            }

            if (kind != SegmentationKind.None && (!headers.IsTcp || headers.IsV6 != (kind == SegmentationKind.TcpV6)))
            {
                return false;
            }

            if (!first.IsChecksumBlank)
            {
                InternetChecksum.Blank(_gatherer.Writable, headers);
            }
        }

        _offload = new FrameOffload(blank, first.IsDataValidated || blank, kind, size);
        return true;
    }

    private bool TryDeliver()
    {
        ReadOnlySpan<byte> frame = _gatherer.Frame;
        if (!_allowed)
        {
            Wait = _allowance!.Take(frame.Length);
            if (Wait is not null)
            {
                return false;
            }

            _allowed = true;
        }

        if (!_adapter.Send(_to, frame, _offload, ref _sent))
        {
            return false;
        }

        _addresses.Watch(frame);
        _counters.CountTransmitted(frame.Length);
        Answer(VifStatus.Okay);
        return true;
    }

    private void Answer(VifStatus status)
    {
        _held = false;
        if (status is VifStatus.Error or VifStatus.Dropped)
        {
            _counters.CountTransmitError();
        }

        _gatherer.Respond(status);
        if (_ring.Push())
        {
            _link.Notify();
        }
    }
}
