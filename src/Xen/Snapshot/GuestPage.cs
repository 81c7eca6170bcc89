namespace Dbt.Xen.Snapshot;

/// <summary>A page of a guest's memory.</summary>
/// <param name="Number">By which it goes in a saved state: the guest frame (GFN) of an auto-translated domain, the machine frame of a paravirtual one.</param>
/// <param name="Mfn">The machine frame in which it lies here.</param>
public readonly record struct GuestPage(uint Number, uint Mfn);
