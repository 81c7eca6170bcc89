namespace Dbt.Cli.Config;

/// <summary>A configuration that can't be used. The message is the one line for the user, with the place where there is one.</summary>
internal sealed class ConfigException : Exception
{
    public ConfigException(string message)
        : base(message)
    {
    }

    public ConfigException(ConfigPosition position, string message)
        : base($"{position}: {message}")
    {
    }
}
