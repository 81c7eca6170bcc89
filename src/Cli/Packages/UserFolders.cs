namespace Dbt.Cli.Packages;

/// <summary>The user's own folders (XDG base directory specification).</summary>
internal static class UserFolders
{
    /// <summary>What can be had again: $XDG_CACHE_HOME/dbt/NAME, or ~/.cache/dbt/NAME.</summary>
    public static string Cache(string name) => Folder("XDG_CACHE_HOME", ".cache", name);

    /// <summary>What can't: $XDG_DATA_HOME/dbt/NAME, or ~/.local/share/dbt/NAME.</summary>
    public static string Data(string name) => Folder("XDG_DATA_HOME", Path.Combine(".local", "share"), name);

    /// <summary>What the user has set: $XDG_CONFIG_HOME/dbt/NAME, or ~/.config/dbt/NAME.</summary>
    public static string Configuration(string name) => Folder("XDG_CONFIG_HOME", ".config", name);

    /// <summary>What is kept of runs, such as logs: $XDG_STATE_HOME/dbt, or ~/.local/state/dbt.</summary>
    public static string State => Folder("XDG_STATE_HOME", Path.Combine(".local", "state"), "");

    // The specification: a path that isn't absolute is to be ignored.
    private static string Folder(string variable, string usual, string name)
    {
        string? root = Environment.GetEnvironmentVariable(variable);
        return Path.Combine(Path.IsPathRooted(root) ? root : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), usual), "dbt", name);
    }
}
