using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Dbt.Cli.Packages;

/// <summary>
/// Files out of Debian packages, got once with <c>apt-get download</c> (which checks what it gets against the signed lists), unpacked
/// with dpkg-deb, and kept in the user's cache folder. Nothing is installed.
/// </summary>
internal sealed class PackageCache(string folder, Action<string> progress)
{
    /// <summary>The user's own: $XDG_CACHE_HOME/dbt/packages, or ~/.cache/dbt/packages.</summary>
    public static PackageCache Default { get; } = new(DefaultFolder(), line => Console.Error.WriteLine($"dbt: {line}"));

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
        var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["LC_ALL"] = "C";
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception)
        {
            throw new PackageException($"package {package} can't be had: this machine has no {program}; get the file in another way and name its path");
        }

        using (process)
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
            if (!process.WaitForExit(DownloadLimit))
            {
                process.Kill(entireProcessTree: true);
                throw new PackageException($"package {package} can't be had: {program} did not end within {DownloadLimit.TotalMinutes} minutes");
            }

            _ = output.Result;
            if (process.ExitCode != 0)
            {
                throw new PackageException(Explain(program, package, errors.Result));
            }
        }
    }

    private static string Explain(string program, string package, string errors)
    {
        string line = errors.Split('\n').FirstOrDefault(l => l.StartsWith("E:", StringComparison.Ordinal)) ?? errors.Split('\n')[0];
        string hint = package.EndsWith(":i386", StringComparison.Ordinal) && RuntimeInformation.OSArchitecture == Architecture.X64
            ? " (as root: dpkg --add-architecture i386 && apt-get update)"
            : " (as root: apt-get update)";
        return $"package {package} can't be had: {program} says: {line.Trim()}{hint}";
    }

    private static string DefaultFolder()
    {
        string? cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
        if (string.IsNullOrEmpty(cache))
        {
            cache = Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
        }

        return Path.Combine(cache, "dbt", "packages");
    }
}
