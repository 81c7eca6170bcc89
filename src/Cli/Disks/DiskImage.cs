using Dbt.Cli.Config;
using Dbt.Cli.Packages;

namespace Dbt.Cli.Disks;

/// <summary>What image is to be made.</summary>
/// <param name="Image">Path of the image.</param>
/// <param name="Folder">Whose files it holds; null for an empty one.</param>
/// <param name="Format">ext2, iso9660 or raw.</param>
/// <param name="SizeMiB">Size; null for what the files need.</param>
/// <param name="Force">Replace what exists.</param>
internal sealed record DiskImageRequest(string Image, string? Folder, string Format, int? SizeMiB, bool Force);

/// <summary>Makes raw disk images with the host's own tools: mke2fs for ext2, xorriso or genisoimage for ISO 9660. No root rights are needed.</summary>
internal static class DiskImage
{
    private const int MostSizeMiB = 1 << 20, LeastExt2MiB = 2, Ext2OverheadMiB = 2;

    /// <summary>Makes an image; on any failure nothing is left behind.</summary>
    /// <exception cref="ConfigException">It can't be made, and why.</exception>
    public static void Create(DiskImageRequest request)
    {
        if (request.Folder is string folder && !Directory.Exists(folder))
        {
            throw new ConfigException($"--from: {folder}: no such folder");
        }

        if (request.SizeMiB is < 1 or > MostSizeMiB)
        {
            throw new ConfigException($"--size: {request.SizeMiB} is outside 1 to {MostSizeMiB} MiB");
        }

        if (!request.Force && Path.Exists(request.Image))
        {
            throw new ConfigException($"{request.Image} exists already; --force replaces it");
        }

        string work = $"{request.Image}.{Environment.ProcessId}.new";
        try
        {
            Make(request, work);
            File.Move(work, request.Image, overwrite: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ConfigException($"{request.Image} can't be made: {exception.Message}");
        }
        finally
        {
            if (File.Exists(work))
            {
                File.Delete(work);
            }
        }
    }

    private static void Make(DiskImageRequest request, string work)
    {
        switch (request.Format)
        {
            case "ext2":
                MakeEmpty(work, request.SizeMiB ?? DefaultSize(request.Folder));
                Run("mke2fs", "e2fsprogs", ["-q", "-F", "-t", "ext2", .. request.Folder is null ? Array.Empty<string>() : ["-d", request.Folder], work]);
                break;
            case "iso9660":
                string folder = request.Folder ?? throw new ConfigException("an iso9660 image needs --from FOLDER");
                string[] arguments = ["-quiet", "-R", "-J", "-o", work, folder];
                if (HostTool.Find("xorriso") is not null)
                {
                    Run("xorriso", "xorriso", ["-as", "mkisofs", .. arguments]);
                }
                else
                {
                    Run("genisoimage", "xorriso", arguments);
                }

                break;
            case "raw":
                if (request.Folder is not null)
                {
                    throw new ConfigException("--format raw makes an empty image; --from needs ext2 or iso9660");
                }

                MakeEmpty(work, request.SizeMiB ?? throw new ConfigException("--format raw needs --size"));
                break;
            default:
                throw new ConfigException($"--format: '{request.Format}' is none of ext2, iso9660, raw");
        }
    }

    // Sparse: the host stores what is written.
    private static void MakeEmpty(string path, int sizeMiB)
    {
        using var stream = new FileStream(path, FileMode.CreateNew);
        stream.SetLength((long)sizeMiB << 20);
    }

    private static int DefaultSize(string? folder)
    {
        const int block = 4096;
        long bytes = folder is null
            ? 0
            : new DirectoryInfo(folder).EnumerateFileSystemInfos("*", SearchOption.AllDirectories).Sum(entry => (entry is FileInfo file ? file.Length : 0) + block);
        return (int)Math.Clamp((bytes * 3 / 2 >> 20) + Ext2OverheadMiB, LeastExt2MiB, MostSizeMiB);
    }

    private static void Run(string program, string package, string[] arguments)
    {
        try
        {
            ToolResult result = HostTool.Run(new ToolCall(program, arguments));
            if (result.Status != 0)
            {
                throw new ConfigException($"{program} failed: {result.Complaint}{(result.Errors.Contains("allocate", StringComparison.Ordinal) ? "; give a larger --size" : "")}");
            }
        }
        catch (ToolMissingException exception)
        {
            throw new ConfigException($"{exception.Message}; install package {package}");
        }
    }
}
