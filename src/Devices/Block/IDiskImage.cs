namespace Dbt.Devices.Block;

/// <summary>What a disk keeps its contents in. Offsets and lengths are bytes, multiples of 512, and within the disk.</summary>
internal interface IDiskImage : IDisposable
{
    /// <summary>Size in sectors of 512 bytes.</summary>
    ulong Sectors { get; }

    /// <summary>Whether writes are refused.</summary>
    bool IsReadOnly { get; }

    /// <summary>Whether <see cref="Discard"/> may work.</summary>
    bool CanDiscard { get; }

    /// <summary>Reads.</summary>
    /// <exception cref="IOException">The host failed.</exception>
    void Read(ulong offset, Span<byte> destination);

    /// <summary>Writes.</summary>
    /// <exception cref="IOException">The host failed.</exception>
    void Write(ulong offset, ReadOnlySpan<byte> source);

    /// <summary>Brings everything written so far onto stable storage.</summary>
    /// <exception cref="IOException">The host failed.</exception>
    void Flush();

    /// <summary>Gives storage back to the host; the range reads as zeros after that.</summary>
    /// <returns>False where the host's file system can't.</returns>
    bool Discard(ulong offset, ulong length);
}
