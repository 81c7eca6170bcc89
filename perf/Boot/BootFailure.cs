namespace Dbt.Perf.Boot;

/// <summary>A comparison that can't be made; the message says why and what to do.</summary>
internal sealed class BootFailure(string message) : Exception(message);
