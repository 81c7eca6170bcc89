namespace Dbt.Devices.Block;

/// <summary>What a disk has done for its guest. Thread-safe.</summary>
internal sealed class BlockCounters
{
    private long _readRequests, _writeRequests, _readSectors, _writtenSectors;

    /// <summary>The counts now.</summary>
    public DiskTraffic Traffic => new(
        Volatile.Read(ref _readRequests), Volatile.Read(ref _writeRequests), Volatile.Read(ref _readSectors), Volatile.Read(ref _writtenSectors));

    /// <summary>Counts a request that is done.</summary>
    public void Count(BlockOperation operation, long sectors)
    {
        if (operation == BlockOperation.Read)
        {
            Interlocked.Increment(ref _readRequests);
            Interlocked.Add(ref _readSectors, sectors);
        }
        else if (operation is BlockOperation.Write or BlockOperation.WriteBarrier)
        {
            Interlocked.Increment(ref _writeRequests);
            Interlocked.Add(ref _writtenSectors, sectors);
        }
    }
}
