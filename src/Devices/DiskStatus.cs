namespace Dbt.Devices;

/// <summary>An attached disk as it is now, for <c>dbt block-list</c>.</summary>
/// <param name="Configuration">What was attached.</param>
/// <param name="Bytes">Size of the disk.</param>
/// <param name="State">The back end's state (public/io/xenbus.h): 4 is connected, 5 and 6 closing and closed.</param>
/// <param name="EventChannel">The guest's event channel, where it named one; its word, not checked.</param>
/// <param name="RingReference">The grant reference of the ring's first page, where the guest named one; its word, not checked.</param>
/// <param name="BackendPath">Where the back end's nodes are in xenstore.</param>
/// <param name="Traffic">What it has done since it was attached.</param>
public sealed record DiskStatus(DiskConfiguration Configuration, ulong Bytes, int State, uint? EventChannel, uint? RingReference, string BackendPath, DiskTraffic Traffic)
{
    /// <summary>The domain that serves it; 0 for this process.</summary>
    public ushort BackendId { get; init; }
}

/// <summary>Counts of a disk's requests that succeeded; a sector is 512 bytes.</summary>
/// <param name="ReadRequests">Requests that read.</param>
/// <param name="WriteRequests">Requests that wrote.</param>
/// <param name="ReadSectors">What they read.</param>
/// <param name="WrittenSectors">What they wrote.</param>
public readonly record struct DiskTraffic(long ReadRequests, long WriteRequests, long ReadSectors, long WrittenSectors);
