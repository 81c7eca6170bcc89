using System.Formats.Tar;

namespace Dbt.Cli.Packages;

/// <summary>Reads .deb files by way of dpkg-deb, which knows all their compressions.</summary>
internal static class DebArchive
{
    /// <summary>Hands out a package's files one after another, directories first, as its tar archive has them.</summary>
    /// <exception cref="PackageException">The package can't be read.</exception>
    /// <exception cref="IOException">What <paramref name="take"/> does with one failed.</exception>
    public static void ReadFiles(PackageFile package, Action<TarEntry> take, CancellationToken cancellation) => Read(package, "--fsys-tarfile", take, cancellation);

    /// <summary>A package's control files, maintainer scripts among them, by name.</summary>
    /// <exception cref="PackageException">The package can't be read.</exception>
    public static IReadOnlyDictionary<string, byte[]> ReadControl(PackageFile package, CancellationToken cancellation)
    {
        var files = new Dictionary<string, byte[]>();
        Read(package, "--ctrl-tarfile", entry =>
        {
            if (entry.DataStream is Stream data)
            {
                byte[] bytes = new byte[entry.Length];
                data.ReadExactly(bytes);
                files[Path.GetFileName(entry.Name)] = bytes;
            }
        }, cancellation);
        return files;
    }

    private static void Read(PackageFile package, string part, Action<TarEntry> take, CancellationToken cancellation)
    {
        try
        {
            ToolResult result = HostTool.Run(new ToolCall("dpkg-deb", part, package.Path) { Read = stream => ReadTar(stream, take, cancellation) }, cancellation);
            if (result.Status != 0)
            {
                throw Damaged(package, result.Complaint);
            }
        }
        catch (Exception exception) when (exception is InvalidDataException or EndOfStreamException or FormatException)
        {
            throw Damaged(package, exception.Message);
        }
        catch (ToolMissingException exception)
        {
            throw new PackageException($"{exception.Message}; install package dpkg");
        }
    }

    private static void ReadTar(Stream stream, Action<TarEntry> take, CancellationToken cancellation)
    {
        using var reader = new TarReader(stream, leaveOpen: true);
        while (reader.GetNextEntry() is TarEntry entry)
        {
            cancellation.ThrowIfCancellationRequested();
            take(entry);
        }
    }

    private static PackageException Damaged(PackageFile package, string reason) =>
        new($"package {package.Name} can't be unpacked: {reason} (delete {package.Path} to get it again)");
}
