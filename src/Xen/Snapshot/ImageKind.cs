namespace Dbt.Xen.Snapshot;

/// <summary>At what moment a state was taken.</summary>
public enum ImageKind : uint
{
    /// <summary>Between two instructions, the guest knowing nothing of it: it goes on with everything that it had.</summary>
    Live = 0,

    /// <summary>
    /// When the guest itself had called SHUTDOWN_suspend: it goes on behind that call in a fresh domain (event channels, grants, store, devices),
    /// and sets everything up anew.
    /// </summary>
    Suspended = 1,
}
