namespace Dbt.Cli.Control;

/// <summary>Why what was asked of a guest can't be.</summary>
internal enum ControlError
{
    /// <summary>There is no such domain or device.</summary>
    NotFound,

    /// <summary>The request makes no sense.</summary>
    Invalid,

    /// <summary>The guest or the host doesn't allow it just now.</summary>
    Refused,

    /// <summary>The guest is being started anew, or the daemon ends.</summary>
    Unavailable,

    /// <summary>A name is taken.</summary>
    Exists,
}

/// <summary>What was asked of a guest can't be. The message is one line for the user.</summary>
internal sealed class ControlException(ControlError error, string message) : Exception(message)
{
    /// <summary>Which kind.</summary>
    public ControlError Error { get; } = error;
}
