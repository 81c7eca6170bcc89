namespace Dbt.Cli.Migration;

/// <summary>A migration failed, or can't be. The message is one line for the user, without the guest's name.</summary>
internal sealed class MigrationException(string message, Exception? inner = null) : Exception(message, inner);
