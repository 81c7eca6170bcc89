namespace Dbt.Xen.Snapshot;

/// <summary>In which machine frames the pages of a paravirtual guest lie here, by the machine frames that they had where it was.</summary>
internal sealed class FrameNumbers
{
    private const int ChunkBits = 12, ChunkSize = 1 << ChunkBits;

    // 64 GiB of frames, more than any machine of ours has.
    private const uint Chunks = 1 << 12;

    /// <summary>All numbers are below it.</summary>
    public const uint End = Chunks << ChunkBits;

    private readonly uint[]?[] _chunks = new uint[]?[Chunks];

    /// <summary>The frame here; 0 for a number that is none of the guest's, whatever it is. Any thread.</summary>
    public uint this[uint number] =>
        number >> ChunkBits is uint chunk and < Chunks && Volatile.Read(ref _chunks[chunk]) is { } frames ? Volatile.Read(ref frames[number & (ChunkSize - 1)]) : 0;

    /// <summary>Whether a frame can have had a number.</summary>
    public static bool IsPossible(uint number) => number is not 0 and < End;

    /// <summary>Says where a page lies; 0 for nowhere any more. One thread at a time.</summary>
    /// <param name="number">One that is possible.</param>
    /// <param name="mfn">The frame here.</param>
    public void Set(uint number, uint mfn)
    {
        ref uint[]? chunk = ref _chunks[number >> ChunkBits];
        if (chunk is null)
        {
            Volatile.Write(ref chunk, new uint[ChunkSize]);
        }

        Volatile.Write(ref chunk[number & (ChunkSize - 1)], mfn);
    }

    /// <summary>All pages, in the order of their numbers.</summary>
    public IEnumerable<GuestPage> Pages()
    {
        for (uint number = 1; number < End; number++)
        {
            if (_chunks[number >> ChunkBits] is null)
            {
                number |= ChunkSize - 1;
            }
            else if (this[number] is uint mfn and not 0)
            {
                yield return new GuestPage(number, mfn);
            }
        }
    }
}
