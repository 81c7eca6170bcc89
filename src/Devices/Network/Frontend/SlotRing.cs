namespace Dbt.Devices.Network.Frontend;

/// <summary>
/// The back end's half of a ring of one page (public/io/ring.h) with slots of a size: indices at the start, slots from 64 on. Its own
/// indices are private; the guest's are fetched and checked.
/// </summary>
internal sealed unsafe class SlotRing : IDisposable
{
    private const int RequestProducer = 0, RequestEvent = 4, ResponseProducer = 8, ResponseEvent = 12, Slots = 64;
    private const int PageSize = 4096;

    private readonly ISharedPage _page;
    private readonly int _slotSize;
    private uint _consumed;
    private uint _produced;
    private uint _told;

    /// <summary>Takes over the page, which is disposed with the ring.</summary>
    public SlotRing(ISharedPage page, int slotSize)
    {
        _page = page;
        _slotSize = slotSize;
        Size = 1u << System.Numerics.BitOperations.Log2((uint)((PageSize - Slots) / slotSize));
        _consumed = _produced = _told = page.Read32(ResponseProducer);
    }

    /// <summary>Number of slots, a power of two.</summary>
    public uint Size { get; }

    /// <summary>Whether the guest's request index ran further ahead than the ring is long; the ring can't be used any more.</summary>
    public bool IsBroken { get; private set; }

    /// <summary>Requests that are there and weren't consumed; 0 where the ring is broken.</summary>
    public uint Available()
    {
        uint producer = _page.Read32(RequestProducer);
        IsBroken |= producer - _produced > Size || producer - _consumed > Size;
        return IsBroken ? 0 : producer - _consumed;
    }

    /// <summary>Copies a request out of the ring, once.</summary>
    /// <param name="ahead">Which: 0 for the next one; below what <see cref="Available"/> said.</param>
    /// <param name="request">At most a slot's size.</param>
    public void Fetch(uint ahead, Span<byte> request) =>
        new ReadOnlySpan<byte>(_page.Host + Offset(_consumed + ahead), request.Length).CopyTo(request);

    /// <summary>Goes on behind requests that were fetched.</summary>
    public void Consume(uint count) => _consumed += count;

    /// <summary>Puts a response into the ring; the guest sees it after <see cref="Push"/>.</summary>
    public void Put(ReadOnlySpan<byte> response)
    {
        int offset = Offset(_produced);
        response.CopyTo(new Span<byte>(_page.Host + offset, response.Length));
        _page.MarkWritten(offset, response.Length);
        _produced++;
    }

    /// <summary>Shows the responses to the guest.</summary>
    /// <returns>Whether it asked to be told.</returns>
    public bool Push()
    {
        uint old = _told;
        uint now = _produced;
        if (now == old)
        {
            return false;
        }

        _page.Write32(ResponseProducer, now);
        _told = now;
        Interlocked.MemoryBarrier();
        return now - _page.Read32(ResponseEvent) < now - old;
    }

    /// <summary>
    /// Asks for an event with the guest's next request, and looks a last time whether there are as many as wanted already.
    /// </summary>
    /// <returns>False where an event will come before there are. True means: look again.</returns>
    public bool HasMore(uint wanted = 1)
    {
        uint producer = _page.Read32(RequestProducer);
        if (Available() >= wanted || IsBroken)
        {
            return !IsBroken;
        }

        _page.Write32(RequestEvent, producer + 1);
        Interlocked.MemoryBarrier();
        return _page.Read32(RequestProducer) != producer;
    }

    /// <inheritdoc/>
    public void Dispose() => _page.Dispose();

    private int Offset(uint index) => Slots + ((int)(index & (Size - 1)) * _slotSize);
}
