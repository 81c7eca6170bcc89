namespace Dbt.Cli.Config;

/// <summary>A place in a configuration file, for errors.</summary>
/// <param name="File">As the user named it, or "command line".</param>
/// <param name="Line">From 1.</param>
/// <param name="Column">From 1, in characters.</param>
internal readonly record struct ConfigPosition(string File, int Line, int Column)
{
    public override string ToString() => $"{File}:{Line}:{Column}";
}
