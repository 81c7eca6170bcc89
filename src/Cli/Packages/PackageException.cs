namespace Dbt.Cli.Packages;

/// <summary>A package can't be had. The message is one line that says why and what to do.</summary>
internal sealed class PackageException(string message) : Exception(message);
