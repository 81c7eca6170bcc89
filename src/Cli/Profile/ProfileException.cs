namespace Dbt.Cli.Profile;

/// <summary>A process can't be profiled, or what was asked for can't be had; the message is for the user.</summary>
internal sealed class ProfileException(string message) : Exception(message);
