namespace Dbt.Xen.Builder;

/// <summary>How a guest is started (type=).</summary>
public enum GuestType
{
    /// <summary>As its kernel's notes say: by a PV entry where there is one, else by PVH.</summary>
    ByKernel,

    /// <summary>Paravirtual.</summary>
    Pv,

    /// <summary>PVH: a processor of its own, and Xen's devices.</summary>
    Pvh,
}
