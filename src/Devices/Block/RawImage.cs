using System.Runtime.InteropServices;
using Dbt.Runtime;
using Microsoft.Win32.SafeHandles;

namespace Dbt.Devices.Block;

/// <summary>
/// A raw image file, or a block device. It is locked while open: one writer, or any number of readers, in this process or another one.
/// A file whose size isn't a multiple of 512 loses its tail, as with Linux' loop devices.
/// </summary>
internal sealed partial class RawImage : IDiskImage
{
    private const int KeepSize = 1, PunchHole = 2; // linux/falloc.h
    private const int SeekEnd = 2; // unistd.h
    private const int WouldBlock = 11; // what .NET gives for a lock that somebody else has (EWOULDBLOCK)
    private readonly SafeFileHandle _handle;

    private RawImage(SafeFileHandle handle, ulong sectors, bool readOnly)
    {
        _handle = handle;
        Sectors = sectors;
        IsReadOnly = readOnly;
    }

    /// <inheritdoc/>
    public ulong Sectors { get; }

    /// <inheritdoc/>
    public bool IsReadOnly { get; }

    /// <inheritdoc/>
    public bool CanDiscard => !IsReadOnly && OperatingSystem.IsLinux();

    /// <summary>Opens and locks an image.</summary>
    /// <exception cref="HostException">It isn't there, isn't allowed, or is in use.</exception>
    public static RawImage Open(string path, bool readOnly)
    {
        SafeFileHandle handle;
        try
        {
            if (Directory.Exists(path))
            {
                throw new HostException($"disk image '{path}' is a directory");
            }

            handle = readOnly
                ? File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read, FileOptions.RandomAccess)
                : File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None, FileOptions.RandomAccess);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new HostException($"disk image '{path}' does not exist", error);
        }
        catch (UnauthorizedAccessException error)
        {
            string hint = readOnly ? "check its permissions" : "check its permissions, or attach it read-only ('r')";
            throw new HostException($"disk image '{path}' can't be opened: {hint}", error);
        }
        catch (IOException error) when (error.HResult == WouldBlock)
        {
            throw new HostException($"disk image '{path}' is in use by another disk, domain or program", error);
        }
        catch (IOException error)
        {
            throw new HostException($"disk image '{path}' can't be opened: {error.Message}", error);
        }

        // A block device's length is where its end is; for a file the two are the same.
        long length = Math.Max(RandomAccess.GetLength(handle), NativeSeek(handle, 0, SeekEnd));
        ulong sectors = (ulong)length / 512;
        if (sectors == 0)
        {
            handle.Dispose();
            throw new HostException($"disk image '{path}' is smaller than one sector of 512 bytes");
        }

        return new RawImage(handle, sectors, readOnly);
    }

    /// <inheritdoc/>
    public void Read(ulong offset, Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            int count = RandomAccess.Read(_handle, destination, (long)offset);
            if (count == 0)
            {
                throw new EndOfStreamException("the image file has become shorter");
            }

            destination = destination[count..];
            offset += (ulong)count;
        }
    }

    /// <inheritdoc/>
    public void Write(ulong offset, ReadOnlySpan<byte> source) => RandomAccess.Write(_handle, source, (long)offset);

    /// <inheritdoc/>
    public void Flush()
    {
        if (!IsReadOnly)
        {
            RandomAccess.FlushToDisk(_handle);
        }
    }

    /// <inheritdoc/>
    public bool Discard(ulong offset, ulong length) =>
        CanDiscard && NativeAllocate(_handle, PunchHole | KeepSize, (long)offset, (long)length) == 0;

    /// <inheritdoc/>
    public void Dispose() => _handle.Dispose();

    [LibraryImport("libc", EntryPoint = "lseek")]
    private static partial long NativeSeek(SafeFileHandle handle, long offset, int whence);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int NativeAllocate(SafeFileHandle handle, int mode, long offset, long length);
}
