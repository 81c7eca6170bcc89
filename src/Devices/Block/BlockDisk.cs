namespace Dbt.Devices.Block;

/// <summary>What all queues of a disk share.</summary>
/// <param name="Frontend">The guest.</param>
/// <param name="Image">The contents.</param>
/// <param name="Name">The disk's name in the guest's log.</param>
/// <param name="SectorSize">
/// Logical sector size, bytes: every request is a multiple of it, and aligned to it. Requests count in units of 512 bytes whatever it is, as Linux'
/// two ends always did, and as newer versions of the header have it.
/// </param>
/// <param name="DiscardGranularity">The unit of storage that can be given back, bytes; 0 where none is.</param>
/// <param name="Workers">Who waits for the host.</param>
internal sealed record BlockDisk(IFrontend Frontend, IDiskImage Image, string Name, int SectorSize, int DiscardGranularity, BlockWorkers Workers)
{
    /// <summary>The unit that requests count in, bytes.</summary>
    public const int Unit = 512;

    /// <summary>What it has done.</summary>
    public BlockCounters Counters { get; } = new();

    /// <summary>Size in units of 512 bytes.</summary>
    public ulong Sectors => Image.Sectors & ~((ulong)(SectorSize / Unit) - 1);

    /// <summary>Whether a range, in units of 512 bytes, lies on the disk and is made of whole sectors.</summary>
    public bool Allows(ulong start, ulong count) =>
        start <= Sectors && count <= Sectors - start && ((start | count) & ((ulong)(SectorSize / Unit) - 1)) == 0;
}
