namespace Dbt.Devices.Store;

/// <summary>
/// The ring that carries a guest's xenstore messages (public/io/xs_wire.h, struct xenstore_domain_interface): requests at 0, replies and
/// events at 1024, then the four indices, features, connection state and error. One thread uses it.
/// </summary>
/// <param name="page">The shared page.</param>
/// <param name="session">The guest's session.</param>
internal sealed partial class StoreRing(ISharedPage page, StoreSession session)
{
    private const int RingSize = 1024, RequestRing = 0, ReplyRing = 1024;
    private const int RequestConsumer = 2048, RequestProducer = 2052, ReplyConsumer = 2056, ReplyProducer = 2060;
    private const int ServerFeatures = 2064, Connection = 2068, Error = 2072;
    private const uint FeatureReconnection = 1, FeatureError = 2;
    private const uint Connected = 0, Reconnect = 1;
    private const uint ErrorRingIndex = 2, ErrorProtocol = 3;

    private readonly byte[] _message = new byte[StoreHeader.Size + StoreLimits.Payload];
    private int _received;
    private byte[] _sending = [];
    private int _sent;

    /// <summary>Whether the guest broke the protocol; nothing is read or sent until it reconnects.</summary>
    public bool IsBroken { get; private set; }

    /// <summary>Whether a message still waits for room in the ring.</summary>
    public bool HasOutput => _sent < _sending.Length;

    /// <summary>Offers the ring to the guest.</summary>
    public void Start()
    {
        page.Write32(ServerFeatures, FeatureReconnection | FeatureError);
        page.Write32(Connection, Connected);
        page.Write32(Error, 0);
    }

    /// <summary>Does one bounded round: sends what there is room for, and reads at most what the ring holds.</summary>
    /// <returns>Whether anything moved, so that the guest has to be notified and another round is due.</returns>
    public bool Pump()
    {
        if (page.Read32(Connection) == Reconnect)
        {
            Reset();
            return true;
        }

        if (IsBroken)
        {
            return false;
        }

        bool moved = Send();
        moved |= Receive();
        moved |= Send();
        return moved;
    }

    // The guest's word for "start anew" (docs of Xen, xenstore-ring.txt): nothing outlives it.
    private void Reset()
    {
        session.Reset();
        _received = 0;
        _sending = [];
        _sent = 0;
        IsBroken = false;
        page.Write32(RequestConsumer, 0);
        page.Write32(RequestProducer, 0);
        page.Write32(ReplyConsumer, 0);
        page.Write32(ReplyProducer, 0);
        page.Write32(Error, 0);
        page.Write32(Connection, Connected);
    }

    private void Break(uint error)
    {
        IsBroken = true;
        page.Write32(Error, error);
    }

    private bool Send()
    {
        bool moved = false;
        while (!IsBroken)
        {
            if (_sent == _sending.Length)
            {
                _sent = 0;
                if (!session.Outbox.TryTake(out _sending))
                {
                    break;
                }
            }

            uint consumer = page.Read32(ReplyConsumer);
            uint producer = page.Read32(ReplyProducer);
            uint used = producer - consumer;
            if (used > RingSize)
            {
                Break(ErrorRingIndex);
                break;
            }

            int count = Math.Min(RingSize - (int)used, _sending.Length - _sent);
            if (count == 0)
            {
                break;
            }

            page.WriteRing(ReplyRing, RingSize, producer, _sending.AsSpan(_sent, count));
            page.Write32(ReplyProducer, producer + (uint)count);
            _sent += count;
            moved = true;
        }

        return moved;
    }

    private bool Receive()
    {
        int budget = RingSize;
        bool moved = false;
        while (!IsBroken && budget > 0 && session.Outbox.Replies < StoreLimits.OutstandingReplies)
        {
            uint consumer = page.Read32(RequestConsumer);
            uint used = page.Read32(RequestProducer) - consumer;
            if (used > RingSize)
            {
                Break(ErrorRingIndex);
                break;
            }

            if (used == 0)
            {
                break;
            }

            int missing = Missing(out _);
            int count = Math.Min(Math.Min((int)used, missing), budget);
            page.ReadRing(RequestRing, RingSize, consumer, _message.AsSpan(_received, count));
            page.Write32(RequestConsumer, consumer + (uint)count);
            _received += count;
            budget -= count;
            moved = true;
            if (Missing(out StoreHeader header) == 0)
            {
                if (header.Length > StoreLimits.Payload)
                {
                    Break(ErrorProtocol);
                    break;
                }

                session.Handle(header, _message.AsSpan(StoreHeader.Size, (int)header.Length));
                _received = 0;
            }
        }

        return moved;
    }

    // Bytes up to the end of the header, or of the message once the header is known; 0 at its end, and for a length that is refused.
    private int Missing(out StoreHeader header)
    {
        header = default;
        if (_received < StoreHeader.Size)
        {
            return StoreHeader.Size - _received;
        }

        header = StoreHeader.Read(_message);
        return header.Length > StoreLimits.Payload ? 0 : StoreHeader.Size + (int)header.Length - _received;
    }
}
