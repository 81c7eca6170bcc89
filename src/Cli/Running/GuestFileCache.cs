using Dbt.Cli.Config;

namespace Dbt.Cli.Running;

/// <summary>
/// Kernels and ramdisks that were read. Guests of one process that have the same share them while they are made, and one that starts anew finds
/// its own, unless the garbage collector needed the memory. A file that has changed is read again. Any thread.
/// </summary>
internal sealed class GuestFileCache
{
    private readonly Lock _lock = new();
    private readonly Dictionary<(string Path, long Length, DateTime Time, bool Changed), WeakReference<byte[]>> _files = [];

    /// <summary>A file's bytes, which nobody may change.</summary>
    /// <param name="path">The file.</param>
    /// <param name="unpack">What is made of them and kept instead; null for nothing.</param>
    /// <exception cref="ConfigException">It can't be read.</exception>
    public byte[] Read(string path, Func<byte[], byte[]>? unpack = null)
    {
        try
        {
            var file = new FileInfo(Path.GetFullPath(path));
            if (file.Length > Array.MaxLength)
            {
                throw new ConfigException($"{path}: too large");
            }

            // One at a time: who comes for the same file gets it, and doesn't read it too.
            lock (_lock)
            {
                (string, long, DateTime, bool) key = (file.FullName, file.Length, file.LastWriteTimeUtc, unpack is not null);
                if (_files.TryGetValue(key, out WeakReference<byte[]>? known) && known.TryGetTarget(out byte[]? bytes))
                {
                    return bytes;
                }

                byte[] read = File.ReadAllBytes(path);
                read = unpack?.Invoke(read) ?? read;
                _files[key] = new WeakReference<byte[]>(read);
                return read;
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ConfigException($"{path}: can't be read: {exception.Message}");
        }
    }
}
