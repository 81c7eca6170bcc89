using System.Security.Cryptography;
using Dbt.Cli.Config;
using Dbt.Translator.Memory;

namespace Dbt.Cli.Running;

/// <summary>A file that was read.</summary>
/// <param name="Bytes">Its contents, or what was made of them; nobody may change them.</param>
/// <param name="Digest">The SHA-256 of its contents, which is made while other things are done; empty where nobody asked.</param>
internal sealed record GuestFile(byte[] Bytes, Task<byte[]> Digest);

/// <summary>
/// Kernels and ramdisks that were read. Guests of one process that have the same share them while they are made, and one that starts anew finds
/// its own, unless the garbage collector needed the memory. A file that has changed is read again. Any thread.
/// </summary>
internal sealed class GuestFileCache
{
    private readonly Lock _lock = new();
    private readonly Dictionary<(string Path, long Length, DateTime Time, bool IsKernel), WeakReference<GuestFile>> _files = [];

    /// <summary>A file as it is.</summary>
    /// <exception cref="ConfigException">It can't be read.</exception>
    public byte[] Read(string path) => Read(path, isKernel: false, static bytes => new GuestFile(bytes, Task.FromResult<byte[]>([]))).Bytes;

    /// <summary>A kernel, unpacked.</summary>
    /// <param name="path">The file.</param>
    /// <param name="unpack">Unpacks it.</param>
    /// <exception cref="ConfigException">It can't be read.</exception>
    public GuestFile ReadKernel(string path, Func<byte[], byte[]> unpack) => Read(path, isKernel: true, bytes =>
    {
        var digest = Task.Run(() => SHA256.HashData(bytes));
        return new GuestFile(unpack(bytes), digest);
    });

    // Kernels have 15 MiB and more: in huge pages reading one takes half the time, most of which goes for the host's page faults.
    private static unsafe byte[] ReadWhole(string path, long length)
    {
        if (length == 0)
        {
            // A pipe, or a file of /proc, whose end shows when it is there.
            return File.ReadAllBytes(path);
        }

        using FileStream file = File.OpenRead(path);
        byte[] bytes = GC.AllocateUninitializedArray<byte>((int)length);
        fixed (byte* start = bytes)
        {
            HostMemory.PreferHuge(start, (nuint)bytes.Length);
        }

        file.ReadExactly(bytes);
        return bytes;
    }

    private GuestFile Read(string path, bool isKernel, Func<byte[], GuestFile> make)
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
                (string, long, DateTime, bool) key = (file.FullName, file.Length, file.LastWriteTimeUtc, isKernel);
                if (_files.TryGetValue(key, out WeakReference<GuestFile>? known) && known.TryGetTarget(out GuestFile? found))
                {
                    return found;
                }

                GuestFile read = make(ReadWhole(path, file.Length));
                _files[key] = new WeakReference<GuestFile>(read);
                return read;
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ConfigException($"{path}: can't be read: {exception.Message}");
        }
    }
}
