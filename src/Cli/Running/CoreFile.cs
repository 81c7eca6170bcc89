using System.Globalization;
using Dbt.Cli.Packages;
using Dbt.Runtime;
using Dbt.Xen;
using Dbt.Xen.Cores;

namespace Dbt.Cli.Running;

/// <summary>Cores of guests as files.</summary>
internal static class CoreFile
{
    /// <summary>Most cores of one name that <see cref="FindRoom"/> allows: a guest that crashes again and again fills no disk.</summary>
    public const int MostOfOneGuest = 5;

    private const string Extension = ".core";

    /// <summary>Where they go when nobody says otherwise.</summary>
    public static string Folder => UserFolders.Data("dump");

    /// <summary>A path in <see cref="Folder"/>, which is made, for a core that is written now.</summary>
    /// <exception cref="IOException">The folder can't be made, or isn't this user's alone.</exception>
    public static string NewPath(string name)
    {
        PrivateFolder.Make(Folder, "set XDG_DATA_HOME to a folder of your own");
        return Path.Combine(Folder, string.Create(CultureInfo.InvariantCulture, $"{name}-{DateTime.UtcNow:yyyyMMdd'T'HHmmss'Z'}{Extension}"));
    }

    /// <summary>As <see cref="NewPath"/>, for a core that nobody asked for just now.</summary>
    /// <exception cref="HostException">There are <see cref="MostOfOneGuest"/> already.</exception>
    /// <exception cref="IOException">The folder can't be made, or isn't this user's alone.</exception>
    public static string FindRoom(string name)
    {
        string path = NewPath(name);
        int there = Directory.EnumerateFiles(Folder).Count(file => IsOf(Path.GetFileName(file), name));
        return there < MostOfOneGuest ? path
            : throw new HostException(string.Create(CultureInfo.InvariantCulture, $"{Folder} has {there} cores of it already; remove some, and the next is written"));
    }

    /// <summary>Writes one.</summary>
    /// <param name="path">A full path.</param>
    /// <param name="domain">Whose. It has stopped and its processors have ended, or nobody ends it meanwhile.</param>
    /// <param name="runs">It runs while its pages are written; otherwise it is held.</param>
    /// <param name="progress">Told how many pages of how many are written.</param>
    /// <param name="cancellation">Ends it: no file is left.</param>
    /// <exception cref="IOException">It can't be written.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be written.</exception>
    /// <exception cref="OperationCanceledException">It was ended.</exception>
    public static void Write(string path, Domain domain, bool runs, Action<int, int> progress, CancellationToken cancellation)
    {
        WholeFile.Write(path, file =>
        {
            bool held = true;
            domain.Pause();
            try
            {
                var core = DomainCore.Capture(domain);
                if (runs)
                {
                    held = false;
                    domain.Resume();
                }

                core.Write(file, pages => progress(pages, core.PageCount), cancellation);
            }
            finally
            {
                if (held)
                {
                    domain.Resume();
                }
            }
        }, cancellation);
    }

    // NAME-TIME.core, and not those of a guest whose name only begins the same.
    private static bool IsOf(string file, string name) =>
        file.StartsWith(name + "-", StringComparison.Ordinal) && file.EndsWith(Extension, StringComparison.Ordinal)
        && DateTime.TryParseExact(
            file.AsSpan()[(name.Length + 1)..^Extension.Length], "yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out _);
}
