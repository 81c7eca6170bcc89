namespace Dbt.Devices.Block;

/// <summary>
/// What a disk keeps its contents in. Offsets and lengths are bytes, multiples of 512, and within the disk. All may be called by several threads
/// at a time; requests that overlap are carried out in any order.
/// </summary>
internal interface IDiskImage : IDisposable
{
    /// <summary>Size in units of 512 bytes.</summary>
    ulong Sectors { get; }

    /// <summary>Logical and physical sector size, bytes, powers of two.</summary>
    (int Logical, int Physical) SectorSizes { get; }

    /// <summary>Whether writes are refused.</summary>
    bool IsReadOnly { get; }

    /// <summary>The unit of storage that <see cref="Discard"/> gives back, bytes; 0 where it can't.</summary>
    int DiscardGranularity { get; }

    /// <summary>Takes the lock of an image that was opened without one.</summary>
    /// <returns>False where another has it.</returns>
    bool TryLock() => true;

    /// <summary>Looks how large the host's file is now.</summary>
    void Refresh();

    /// <summary>Reads as much as can be had without waiting for the host's storage.</summary>
    /// <returns>Bytes that were read; 0 where it has to wait.</returns>
    /// <exception cref="IOException">The host failed.</exception>
    long ReadAtHand(ulong offset, ReadOnlySpan<IoVector> vectors);

    /// <summary>Reads all of it; the vectors' contents are used up.</summary>
    /// <exception cref="IOException">The host failed.</exception>
    void Read(ulong offset, Span<IoVector> vectors);

    /// <summary>Writes all of it; the vectors' contents are used up.</summary>
    /// <exception cref="IOException">The host failed.</exception>
    void Write(ulong offset, Span<IoVector> vectors);

    /// <summary>Brings everything written so far onto stable storage.</summary>
    /// <exception cref="IOException">The host failed, now or in an earlier flush: what was written before that may be lost.</exception>
    void Flush();

    /// <summary>Gives storage back to the host; the range reads as zeros after that.</summary>
    /// <returns>False where the host's file system can't.</returns>
    /// <exception cref="IOException">The host failed.</exception>
    bool Discard(ulong offset, ulong length);
}
