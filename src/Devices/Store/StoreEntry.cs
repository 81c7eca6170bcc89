namespace Dbt.Devices.Store;

/// <summary>A node as it was at one moment.</summary>
/// <param name="Path">Absolute.</param>
/// <param name="Value">Its bytes; not to be changed.</param>
/// <param name="Permissions">The owner's entry first.</param>
public sealed record StoreEntry(string Path, ReadOnlyMemory<byte> Value, IReadOnlyList<StorePermission> Permissions);
