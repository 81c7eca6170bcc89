namespace Dbt.Devices;

/// <summary>An attached disk as it is now, for <c>dbt block-list</c>.</summary>
/// <param name="Configuration">What was attached.</param>
/// <param name="Bytes">Size of the disk.</param>
/// <param name="State">The back end's state (public/io/xenbus.h): 4 is connected, 5 and 6 closing and closed.</param>
/// <param name="EventChannel">The guest's event channel, where it named one; its word, not checked.</param>
/// <param name="RingReference">The grant reference of the ring's first page, where the guest named one; its word, not checked.</param>
/// <param name="BackendPath">Where the back end's nodes are in xenstore.</param>
public sealed record DiskStatus(DiskConfiguration Configuration, ulong Bytes, int State, uint? EventChannel, uint? RingReference, string BackendPath);
