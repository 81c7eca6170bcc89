namespace Dbt.Cli.Commands;

/// <summary>Files in which the host's kernel tells of itself.</summary>
internal static class HostFile
{
    /// <summary>The first value of each key of a file of lines <c>key : value</c>; none where it isn't there.</summary>
    public static IReadOnlyDictionary<string, string> Read(string path)
    {
        var values = new Dictionary<string, string>();
        foreach (string line in File.Exists(path) ? File.ReadLines(path) : [])
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon > 0)
            {
                values.TryAdd(line[..colon].Trim(), line[(colon + 1)..].Trim());
            }
        }

        return values;
    }

    /// <summary>A file's only line; empty where it isn't there.</summary>
    public static string Line(string path) => File.Exists(path) ? File.ReadAllText(path).Trim() : "";
}
