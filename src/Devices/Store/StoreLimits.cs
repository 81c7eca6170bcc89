namespace Dbt.Devices.Store;

/// <summary>
/// What one guest may ask of the store: the header's limits (public/io/xs_wire.h) and the quotas that Xen's daemon has by default.
/// Domain 0 is exempt from the quotas.
/// </summary>
internal static class StoreLimits
{
    /// <summary>Bytes of a message's payload (XENSTORE_PAYLOAD_MAX).</summary>
    public const int Payload = 4096;

    /// <summary>Characters of an absolute path (XENSTORE_ABS_PATH_MAX), and of one below a domain's home (XENSTORE_REL_PATH_MAX).</summary>
    public const int AbsolutePath = 3072, RelativePath = 2048;

    /// <summary>Nodes that one domain may own, and watches it may have.</summary>
    public const int Nodes = 1000, Watches = 128;

    /// <summary>Open transactions of one domain, and nodes that one transaction may touch.</summary>
    public const int Transactions = 10, TransactionNodes = 1024;

    /// <summary>Bytes of one node, its children's names and permissions included.</summary>
    public const int NodeSize = 2048;

    /// <summary>Entries of one node's permissions.</summary>
    public const int Permissions = 5;

    /// <summary>Replies that may wait for the guest before no further request is read.</summary>
    public const int OutstandingReplies = 20;

    /// <summary>Bytes of watch events that may wait for a guest; what comes after that is lost, by the guest's own fault.</summary>
    public const int EventBytes = 2 << 20;
}
