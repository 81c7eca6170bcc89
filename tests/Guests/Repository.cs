namespace Dbt.Tests.Guests;

/// <summary>Where the sources are that these tests were built from.</summary>
internal static class Repository
{
    /// <summary>The top folder.</summary>
    public static string Root { get; } = Find();

    /// <summary>The folder <c>guests</c>.</summary>
    public static string Guests { get; } = Path.Combine(Root, "guests");

    private static string Find()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "guests", "build.sh")))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException($"no guests/build.sh above {AppContext.BaseDirectory}");
    }
}
