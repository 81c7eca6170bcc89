namespace Dbt.Cli.Bench;

/// <summary>A machine of the benchmark could not be had or has failed; the message says which and why.</summary>
internal sealed class BenchException(string message) : Exception(message);
