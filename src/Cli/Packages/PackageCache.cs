using System.Runtime.InteropServices;

namespace Dbt.Cli.Packages;

/// <summary>
/// Files out of Debian packages, got once with <c>apt-get download</c> (which checks what it gets against the signed lists), unpacked
/// with dpkg-deb, and kept in the user's cache folder. Nothing is installed.
/// </summary>
internal sealed class PackageCache(string folder, Action<string> progress)
{
    /// <summary>The user's own: $XDG_CACHE_HOME/dbt/packages, or ~/.cache/dbt/packages.</summary>
    public static PackageCache Default { get; } = new(UserFolders.Cache("packages"), line => Console.Error.WriteLine($"dbt: {line}"));

    private static readonly TimeSpan DownloadLimit = TimeSpan.FromMinutes(5);

    /// <summary>The path of a package's file on this machine.</summary>
    /// <exception cref="PackageException">It can't be had.</exception>
    public string Obtain(PackageReference reference)
    {
        string unpacked = Path.Combine(folder, reference.Package.Replace(':', '_'));
        string file = Path.Combine(unpacked, reference.Path);
        if (File.Exists(file))
        {
            return file;
        }

        if (!Directory.Exists(unpacked))
        {
            Download(reference.Package, unpacked);
        }

        return File.Exists(file) ? file : throw new PackageException($"package {reference.Package} has no file {reference.Path} (looked in {unpacked})");
    }

    private void Download(string package, string unpacked)
    {
        progress($"getting package {package} with apt-get download (kept in {folder})");
        string work = $"{unpacked}.{Environment.ProcessId}.new";
        try
        {
            Directory.CreateDirectory(work);
            Run("apt-get", work, package, "download", package);
            string archive = Directory.EnumerateFiles(work, "*.deb").FirstOrDefault()
                ?? throw new PackageException($"apt-get download {package} ended without a package");
            string tree = Path.Combine(work, "tree");
            Run("dpkg-deb", work, package, "-x", archive, tree);
            Move(tree, unpacked);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new PackageException($"package {package} can't be kept in {folder}: {exception.Message}");
        }
        finally
        {
            if (Directory.Exists(work))
            {
                Directory.Delete(work, recursive: true);
            }
        }
    }

    // Another process may have been quicker; its tree is as good.
    private static void Move(string tree, string unpacked)
    {
        try
        {
            Directory.Move(tree, unpacked);
        }
        catch (IOException) when (Directory.Exists(unpacked))
        {
        }
    }

    private static void Run(string program, string folder, string package, params string[] arguments)
    {
        using var limit = new CancellationTokenSource(DownloadLimit);
        try
        {
            ToolResult result = HostTool.Run(new ToolCall(program, arguments) { Folder = folder }, limit.Token);
            if (result.Status != 0)
            {
                throw new PackageException(Explain(program, package, result.Complaint));
            }
        }
        catch (ToolMissingException exception)
        {
            throw new PackageException($"package {package} can't be had: {exception.Message}; get the file in another way and name its path");
        }
        catch (OperationCanceledException)
        {
            throw new PackageException($"package {package} can't be had: {program} did not end within {DownloadLimit.TotalMinutes} minutes");
        }
    }

    private static string Explain(string program, string package, string complaint)
    {
        string hint = package.EndsWith(":i386", StringComparison.Ordinal) && RuntimeInformation.OSArchitecture == Architecture.X64
            ? " (as root: dpkg --add-architecture i386 && apt-get update)"
            : " (as root: apt-get update)";
        return $"package {package} can't be had: {program} says: {complaint}{hint}";
    }
}
