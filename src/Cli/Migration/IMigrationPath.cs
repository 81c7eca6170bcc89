namespace Dbt.Cli.Migration;

/// <summary>The way to the target's daemon.</summary>
internal interface IMigrationPath
{
    /// <summary>Connects, both sides having shown who they are.</summary>
    /// <exception cref="TargetGoneException">Nobody listens there: the process is gone, if there was one.</exception>
    /// <exception cref="IOException">It can't be reached.</exception>
    /// <exception cref="MigrationException">It isn't whom we trust, or doesn't trust us.</exception>
    IFrameChannel Connect();
}

/// <summary>The target's host answers that nobody listens: no process is there that could have the guest.</summary>
internal sealed class TargetGoneException(string message, Exception? inner = null) : IOException(message, inner);
