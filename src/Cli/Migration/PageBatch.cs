using System.Buffers.Binary;

namespace Dbt.Cli.Migration;

/// <summary>
/// The pages of one frame: their count, then their numbers (32 bits, little endian; the highest bit says that the page is all zeros), then the
/// 4096 bytes of each that isn't.
/// </summary>
internal sealed class PageBatch
{
    /// <summary>Most pages of a batch.</summary>
    public const int Capacity = 256;

    /// <summary>Most bytes of a batch.</summary>
    public const int MostBytes = 4 + (Capacity * (4 + PageSize));

    private const int PageSize = 4096;
    private const uint IsZero = 1u << 31;

    private readonly uint[] _numbers = new uint[Capacity];
    private readonly byte[] _pages = new byte[Capacity * PageSize], _frame = new byte[MostBytes];
    private int _filled;

    /// <summary>Pages in it.</summary>
    public int Count { get; private set; }

    /// <summary>Whether nothing more goes in.</summary>
    public bool IsFull => Count == Capacity;

    /// <summary>Where the next page's bytes go, before <see cref="Add"/>.</summary>
    public Span<byte> Next => _pages.AsSpan(_filled * PageSize, PageSize);

    /// <summary>Adds the page whose bytes are in <see cref="Next"/>.</summary>
    /// <param name="number">Below 2^31.</param>
    public void Add(uint number)
    {
        bool zero = !Next.ContainsAnyExcept((byte)0);
        _numbers[Count++] = zero ? number | IsZero : number;
        _filled += zero ? 0 : 1;
    }

    /// <summary>Sends what is in it, if anything, and empties it.</summary>
    /// <returns>Bytes sent.</returns>
    public int Send(IFrameChannel channel)
    {
        if (Count == 0)
        {
            return 0;
        }

        BinaryPrimitives.WriteInt32LittleEndian(_frame, Count);
        int at = 4;
        foreach (uint number in _numbers.AsSpan(0, Count))
        {
            BinaryPrimitives.WriteUInt32LittleEndian(_frame.AsSpan(at), number);
            at += 4;
        }

        _pages.AsSpan(0, _filled * PageSize).CopyTo(_frame.AsSpan(at));
        at += _filled * PageSize;
        channel.Send(FrameType.Pages, _frame.AsSpan(0, at));
        (Count, _filled) = (0, 0);
        return at;
    }

    /// <summary>Puts the pages of a frame.</summary>
    /// <returns>How many there were.</returns>
    /// <exception cref="MigrationException">The frame is none, or a page can't be.</exception>
    public static int Receive(ReadOnlySpan<byte> frame, IArrivingGuest guest)
    {
        int count = frame.Length < 4 ? -1 : BinaryPrimitives.ReadInt32LittleEndian(frame);
        if (count is < 0 or > Capacity || frame.Length < 4 + (count * 4))
        {
            throw new MigrationException("a frame of pages makes no sense");
        }

        ReadOnlySpan<byte> numbers = frame.Slice(4, count * 4), pages = frame[(4 + (count * 4))..];
        for (int i = 0; i < count; i++)
        {
            uint number = BinaryPrimitives.ReadUInt32LittleEndian(numbers[(i * 4)..]);
            if ((number & IsZero) != 0)
            {
                guest.PutZero(number & ~IsZero);
                continue;
            }

            if (pages.Length < PageSize)
            {
                throw new MigrationException("a frame of pages is too short");
            }

            guest.Put(number, pages[..PageSize]);
            pages = pages[PageSize..];
        }

        return pages.IsEmpty ? count : throw new MigrationException("a frame of pages is too long");
    }
}
