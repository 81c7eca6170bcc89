namespace Dbt.Devices.Store;

/// <summary>xenstore's errors; a reply carries the name (public/io/xs_wire.h, xsd_errors).</summary>
public enum StoreError
{
#pragma warning disable CS1591 // the header's own names
    None,
    EINVAL,
    EACCES,
    EEXIST,
    EISDIR,
    ENOENT,
    ENOMEM,
    ENOSPC,
    EIO,
    ENOTEMPTY,
    ENOSYS,
    EROFS,
    EBUSY,
    EAGAIN,
    EISCONN,
    E2BIG,
    EPERM,
#pragma warning restore CS1591
}
