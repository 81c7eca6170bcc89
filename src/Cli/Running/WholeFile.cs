using System.Globalization;

namespace Dbt.Cli.Running;

/// <summary>A file that appears under its name when it is whole and on the disk, for its owner alone (mode 0600); until then it has another name, and when it fails there is none.</summary>
internal static class WholeFile
{
    private const int BufferBytes = 1 << 20;

    /// <summary>Writes one. What was there under the name is replaced at the end.</summary>
    /// <param name="path">A full path.</param>
    /// <param name="write">Writes the contents.</param>
    /// <param name="cancellation">Ends it: the name is not taken then.</param>
    /// <exception cref="IOException">It can't be written.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be written.</exception>
    /// <exception cref="OperationCanceledException">It was ended.</exception>
    public static void Write(string path, Action<FileStream> write, CancellationToken cancellation)
    {
        if (Path.GetDirectoryName(path) is not string folder || Directory.Exists(path))
        {
            throw new IOException("it is a folder");
        }

        string temporary = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $".{Path.GetFileName(path)}.{Environment.ProcessId}.tmp"));

        // One that a process of this id left behind when it was killed.
        File.Delete(temporary);
        using var file = new FileStream(temporary, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            Share = FileShare.None,
            BufferSize = BufferBytes,
#pragma warning disable CA1416 // there is no Windows build
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
#pragma warning restore CA1416
        });
        try
        {
            write(file);
            file.Flush(flushToDisk: true);
            cancellation.ThrowIfCancellationRequested();
            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }
}
