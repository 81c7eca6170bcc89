using System.Buffers.Binary;

namespace Dbt.Devices.Block;

/// <summary>
/// The back end's half of a block ring over one or more shared pages (public/io/ring.h): indices at the start, entries from 64 on.
/// Its own indices are private; the guest's are fetched and checked.
/// </summary>
internal sealed class BlockRing : IDisposable
{
    private const int RequestProducer = 0, RequestEvent = 4, ResponseProducer = 8, ResponseEvent = 12, Entries = 64;
    private const int PageSize = 4096;

    private readonly ISharedPage[] _pages;
    private readonly BlockProtocol _protocol;
    private readonly int _entrySize;
    private uint _requestConsumer;
    private uint _responseProducer;
    private uint _responsesTold;

    /// <summary>Takes over the pages, which are disposed with the ring.</summary>
    public BlockRing(ISharedPage[] pages, BlockProtocol protocol)
    {
        _pages = pages;
        _protocol = protocol;
        _entrySize = BlockRequest.EntrySize(protocol);
        Size = 1u << System.Numerics.BitOperations.Log2((uint)(((pages.Length * PageSize) - Entries) / _entrySize));
        _responseProducer = _responsesTold = _requestConsumer = pages[0].Read32(ResponseProducer);
    }

    /// <summary>Number of entries, a power of two.</summary>
    public uint Size { get; }

    /// <summary>Whether the guest's request index ran further ahead than the ring is long; the ring can't be used any more.</summary>
    public bool IsBroken { get; private set; }

    /// <summary>Copies the next request out of the ring, once.</summary>
    /// <returns>False where there is none.</returns>
    public bool TryTake(out BlockRequest request)
    {
        request = default;
        if (IsBroken)
        {
            return false;
        }

        uint producer = _pages[0].Read32(RequestProducer);
        if (producer - _responseProducer > Size)
        {
            IsBroken = true;
            return false;
        }

        if (producer == _requestConsumer)
        {
            return false;
        }

        Span<byte> entry = stackalloc byte[_entrySize];
        Copy(_requestConsumer, entry, toRing: false);
        _requestConsumer++;
        request = BlockRequest.Read(entry, _protocol);
        return true;
    }

    /// <summary>Asks the guest for an event with its next request, and looks a last time whether there is one already.</summary>
    public bool HasMore()
    {
        if (IsBroken || _pages[0].Read32(RequestProducer) != _requestConsumer)
        {
            return !IsBroken;
        }

        _pages[0].Write32(RequestEvent, _requestConsumer + 1);
        Interlocked.MemoryBarrier();
        return _pages[0].Read32(RequestProducer) != _requestConsumer;
    }

    /// <summary>Puts a response into the ring; the guest sees it after <see cref="Push"/>.</summary>
    public void Respond(in BlockRequest request, BlockStatus status)
    {
        // 12 bytes are the structure in the 32-bit layout; the 64-bit one has four bytes of padding behind them.
        Span<byte> response = stackalloc byte[_protocol == BlockProtocol.X86Bits64 ? 16 : 12];
        response.Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(response, request.Id);
        response[8] = request.RawOperation;
        BinaryPrimitives.WriteInt16LittleEndian(response[10..], (short)status);
        Copy(_responseProducer, response, toRing: true);
        _responseProducer++;
    }

    /// <summary>Shows the responses to the guest.</summary>
    /// <returns>Whether it asked to be told.</returns>
    public bool Push()
    {
        uint old = _responsesTold;
        uint now = _responseProducer;
        _pages[0].Write32(ResponseProducer, now);
        _responsesTold = now;
        Interlocked.MemoryBarrier();
        return now - _pages[0].Read32(ResponseEvent) < now - old;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (ISharedPage page in _pages)
        {
            page.Dispose();
        }
    }

    // Entries of a ring of several pages may span two of them.
    private unsafe void Copy(uint index, Span<byte> bytes, bool toRing)
    {
        int offset = Entries + ((int)(index & (Size - 1)) * _entrySize);
        while (!bytes.IsEmpty)
        {
            ISharedPage page = _pages[offset / PageSize];
            int within = offset % PageSize;
            int count = Math.Min(bytes.Length, PageSize - within);
            var shared = new Span<byte>(page.Host + within, count);
            if (toRing)
            {
                bytes[..count].CopyTo(shared);
                page.MarkWritten(within, count);
            }
            else
            {
                shared.CopyTo(bytes);
            }

            bytes = bytes[count..];
            offset += count;
        }
    }
}
