using System.Numerics;
using Dbt.Runtime;
using Microsoft.Win32.SafeHandles;

namespace Dbt.Devices.Block;

/// <summary>
/// A raw image file, or a block device. It is locked while open: one writer, or any number of readers, in this process or another one.
/// A file whose size isn't a multiple of the sector size loses its tail, as with Linux' loop devices.
/// </summary>
internal sealed class RawImage : IDiskImage
{
    private const int WouldBlock = 11; // what .NET gives for a lock that somebody else has (EWOULDBLOCK)
    private const int DefaultGranularity = 4096;
    private readonly SafeFileHandle _handle;
    private volatile bool _readsAtHand = true;
    private volatile string? _lost;
    private ulong _sectors;

    private RawImage(SafeFileHandle handle, ulong sectors, (int Logical, int Physical) sectorSizes, bool readOnly, int discardGranularity)
    {
        _handle = handle;
        _sectors = sectors;
        SectorSizes = sectorSizes;
        IsReadOnly = readOnly;
        DiscardGranularity = discardGranularity;
    }

    /// <inheritdoc/>
    public ulong Sectors => Volatile.Read(ref _sectors);

    /// <inheritdoc/>
    public (int Logical, int Physical) SectorSizes { get; }

    /// <inheritdoc/>
    public bool IsReadOnly { get; }

    /// <inheritdoc/>
    public int DiscardGranularity { get; }

    /// <summary>Opens and locks an image.</summary>
    /// <param name="path">A file, or a block device.</param>
    /// <param name="readOnly">For reading only, which others may do too.</param>
    /// <param name="isSurelyRaw">Even if it begins as an image of another format would.</param>
    /// <param name="locksLater">Without a lock: whose it is now is to let go of it, and <see cref="TryLock"/> follows.</param>
    /// <exception cref="HostException">It isn't there, isn't allowed, isn't raw, or is in use.</exception>
    public static RawImage Open(string path, bool readOnly, bool isSurelyRaw = true, bool locksLater = false)
    {
        SafeFileHandle handle = OpenFile(path, readOnly, locksLater);
        try
        {
            if (!isSurelyRaw && ImageFormat.Recognize(handle) is string format)
            {
                throw new HostException(ImageFormat.Advice(path, format));
            }

            // Where the end is: of a block device too, whose file has no length.
            long length = FileCalls.Seek(handle, 0, FileCalls.SeekEnd);
            if (length < 0)
            {
                throw new HostException($"disk image '{path}' is neither a file nor a block device");
            }

            (int Logical, int Physical)? device = DeviceSectorSizes(handle);
            (int Logical, int Physical) sizes = device ?? (512, 512);
            ulong sectors = WholeSectors(length, sizes.Logical);
            return sectors > 0
                ? new RawImage(handle, sectors, sizes, readOnly, readOnly ? 0 : Granularity(handle, length, device))
                : throw new HostException($"disk image '{path}' is smaller than one sector of {sizes.Logical} bytes");
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public bool TryLock() => FileCalls.Lock(_handle, (IsReadOnly ? FileCalls.LockShared : FileCalls.LockExclusive) | FileCalls.LockNoWait) == 0;

    /// <inheritdoc/>
    public void Refresh()
    {
        long length = FileCalls.Seek(_handle, 0, FileCalls.SeekEnd);
        if (length >= 0)
        {
            Volatile.Write(ref _sectors, WholeSectors(length, SectorSizes.Logical));
        }
    }

    /// <inheritdoc/>
    public long ReadAtHand(ulong offset, ReadOnlySpan<IoVector> vectors)
    {
        if (!_readsAtHand)
        {
            return 0;
        }

        long count = FileCalls.Transfer(FileCalls.Operation.ReadAtHand, _handle, vectors, offset, out int error);
        if (count < 0 && error is FileCalls.NotSupported or FileCalls.Invalid or FileCalls.NoSystemCall)
        {
            _readsAtHand = false; // a file system that can't tell
        }

        // What failed fails again where it may wait, and is told there.
        return Math.Max(count, 0);
    }

    /// <inheritdoc/>
    public void Read(ulong offset, Span<IoVector> vectors) => FileCalls.TransferAll(FileCalls.Operation.Read, _handle, vectors, offset);

    /// <inheritdoc/>
    public void Write(ulong offset, Span<IoVector> vectors) => FileCalls.TransferAll(FileCalls.Operation.Write, _handle, vectors, offset);

    /// <inheritdoc/>
    /// <remarks>
    /// A flush that failed once fails for good: the host has forgotten which pages it couldn't write, and the next fsync would say that all is well.
    /// </remarks>
    public void Flush()
    {
        if (IsReadOnly)
        {
            return;
        }

        if (_lost is null && FileCalls.Flush(_handle, out int error) < 0)
        {
            _lost = FileCalls.Describe(error);
        }

        if (_lost is { } why)
        {
            throw new IOException($"writes may be lost, as the host couldn't flush the image: {why}");
        }
    }

    /// <inheritdoc/>
    public bool Discard(ulong offset, ulong length)
    {
        if (DiscardGranularity == 0)
        {
            return false;
        }

        return FileCalls.PunchHole(_handle, (long)offset, (long)length, out int error) == 0
            || (error is FileCalls.NotSupported or FileCalls.NoSystemCall ? false : throw new IOException(FileCalls.Describe(error)));
    }

    /// <inheritdoc/>
    public void Dispose() => _handle.Dispose();

    private static ulong WholeSectors(long length, int size) => (ulong)(length - (length % size)) / 512;

    private static SafeFileHandle OpenFile(string path, bool readOnly, bool locksLater)
    {
        try
        {
            if (Directory.Exists(path))
            {
                throw new HostException($"disk image '{path}' is a directory");
            }

            if (locksLater)
            {
                // .NET itself takes a lock in any case.
                return FileCalls.Open(path, readOnly);
            }

            return readOnly
                ? File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read)
                : File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
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
    }

    // Null for what is no block device.
    private static (int Logical, int Physical)? DeviceSectorSizes(SafeFileHandle handle)
    {
        if (FileCalls.DeviceControl(handle, FileCalls.LogicalSectorSize, out int logical) != 0 || logical < 512 || !BitOperations.IsPow2(logical))
        {
            return null;
        }

        bool told = FileCalls.DeviceControl(handle, FileCalls.PhysicalSectorSize, out int physical) == 0;
        return (logical, told && physical >= logical && BitOperations.IsPow2(physical) ? physical : logical);
    }

    // Whether holes can be made is found out where they change nothing: behind the end. A device refuses that, and says so when it is asked for one.
    private static int Granularity(SafeFileHandle handle, long length, (int Logical, int Physical)? device)
    {
        if (device is { } sizes)
        {
            return sizes.Physical;
        }

        int block = FileCalls.BlockSize(handle) is int size && size >= 512 && BitOperations.IsPow2(size) ? size : DefaultGranularity;
        return FileCalls.PunchHole(handle, length, block, out _) == 0 ? block : 0;
    }
}
