namespace Dbt.Xen.Snapshot;

/// <summary>
/// A saved state can't be made or taken up: the guest has what can't be moved, or what was read is damaged, from another version, or doesn't fit
/// this machine. The message is one line for the user.
/// </summary>
public sealed class SnapshotException : Exception
{
    /// <summary>Makes one.</summary>
    public SnapshotException(string message)
        : base(message)
    {
    }

    /// <summary>Makes one of another's cause.</summary>
    public SnapshotException(string message, Exception cause)
        : base(message, cause)
    {
    }
}
