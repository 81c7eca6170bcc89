using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Dbt.Devices.Block;

/// <summary>
/// Linux' system calls for an image, where .NET has none: scatter-gather on unmanaged memory, reads that don't wait, holes, and a flush that tells
/// of every error. All give -1 and an errno on failure.
/// </summary>
internal static unsafe partial class FileCalls
{
    /// <summary>errno values (asm-generic/errno.h).</summary>
    public const int Interrupted = 4, Invalid = 22, NoSystemCall = 38, NotSupported = 95;

    /// <summary>lseek's origin for the end of the file.</summary>
    public const int SeekEnd = 2;

    /// <summary>flock's operations (linux/fcntl.h).</summary>
    public const int LockShared = 1, LockExclusive = 2, LockNoWait = 4;

    /// <summary>Requests of <see cref="DeviceControl"/> (linux/fs.h, BLKSSZGET and BLKPBSZGET).</summary>
    public const uint LogicalSectorSize = 0x1268, PhysicalSectorSize = 0x127B;

    private const int KeepSize = 1, PunchHoleMode = 2; // linux/falloc.h
    private const int NoWait = 8; // RWF_NOWAIT, linux/fs.h
    private const int MaxVectors = 1024; // IOV_MAX
    private const int FileSystemBytes = 256; // more than struct statvfs has

    /// <summary>What <see cref="Transfer"/> does.</summary>
    public enum Operation
    {
        /// <summary>preadv.</summary>
        Read,

        /// <summary>preadv2 of what is in the host's page cache.</summary>
        ReadAtHand,

        /// <summary>pwritev.</summary>
        Write,
    }

    /// <summary>open, without the lock that .NET takes.</summary>
    /// <exception cref="IOException">It can't be opened.</exception>
    /// <exception cref="UnauthorizedAccessException">It isn't allowed.</exception>
    public static SafeFileHandle Open(string path, bool readOnly)
    {
        const int readWrite = 2, closeOnExec = 0x80000, notPermitted = 1, noEntry = 2, denied = 13, readOnlyFileSystem = 30;
        int descriptor = OpenFile(path, closeOnExec | (readOnly ? 0 : readWrite));
        if (descriptor >= 0)
        {
            return new SafeFileHandle(descriptor, ownsHandle: true);
        }

        int error = Marshal.GetLastPInvokeError();
        throw error switch
        {
            noEntry => new FileNotFoundException(null, path),
            notPermitted or denied or readOnlyFileSystem => new UnauthorizedAccessException(Marshal.GetPInvokeErrorMessage(error)),
            _ => new IOException(Marshal.GetPInvokeErrorMessage(error)),
        };
    }

    /// <summary>Transfers some of the bytes at an offset.</summary>
    public static long Transfer(Operation operation, SafeFileHandle handle, ReadOnlySpan<IoVector> vectors, ulong offset, out int error)
    {
        int count = Math.Min(vectors.Length, MaxVectors);
        fixed (IoVector* first = vectors)
        {
            long done = operation switch
            {
                Operation.Read => ReadVectors(handle, first, count, (long)offset),
                Operation.Write => WriteVectors(handle, first, count, (long)offset),
                _ => ReadVectors(handle, first, count, (long)offset, NoWait),
            };
            error = done < 0 ? Marshal.GetLastPInvokeError() : 0;
            return done;
        }
    }

    /// <summary>Transfers all of the bytes at an offset; the vectors' contents are used up.</summary>
    /// <exception cref="IOException">The host failed.</exception>
    public static void TransferAll(Operation operation, SafeFileHandle handle, Span<IoVector> vectors, ulong offset)
    {
        while (!vectors.IsEmpty)
        {
            long count = Transfer(operation, handle, vectors, offset, out int error);
            if (count < 0 && error == Interrupted)
            {
                continue;
            }

            if (count <= 0)
            {
                throw count < 0 ? new IOException(Describe(error)) : new EndOfStreamException("the image file has become shorter");
            }

            IoVector.Advance(ref vectors, count);
            offset += (ulong)count;
        }
    }

    /// <summary>fdatasync.</summary>
    public static int Flush(SafeFileHandle handle, out int error)
    {
        int result;
        do
        {
            result = DataSync(handle);
            error = result < 0 ? Marshal.GetLastPInvokeError() : 0;
        }
        while (error == Interrupted);
        return result;
    }

    /// <summary>Makes a hole; the file keeps its size.</summary>
    public static int PunchHole(SafeFileHandle handle, long offset, long length, out int error)
    {
        int result = Allocate(handle, PunchHoleMode | KeepSize, offset, length);
        error = result < 0 ? Marshal.GetLastPInvokeError() : 0;
        return result;
    }

    /// <summary>The unit in which the file's file system has its storage; null where it doesn't tell.</summary>
    public static int? BlockSize(SafeFileHandle handle)
    {
        // f_bsize is the first field.
        byte* told = stackalloc byte[FileSystemBytes];
        return FileSystem(handle, told) == 0 && *(ulong*)told <= int.MaxValue ? (int)*(ulong*)told : null;
    }

    /// <summary>The message of an errno.</summary>
    public static string Describe(int error) => Marshal.GetPInvokeErrorMessage(error);

    /// <summary>lseek.</summary>
    [LibraryImport("libc", EntryPoint = "lseek", SetLastError = true)]
    public static partial long Seek(SafeFileHandle handle, long offset, int whence);

    /// <summary>flock, by which .NET locks files too: <see cref="LockShared"/> or <see cref="LockExclusive"/>, with <see cref="LockNoWait"/>.</summary>
    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    public static partial int Lock(SafeFileHandle handle, int operation);

    /// <summary>ioctl with an int as its result.</summary>
    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static partial int DeviceControl(SafeFileHandle handle, nuint request, out int value);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenFile(string path, int flags);

    [LibraryImport("libc", EntryPoint = "preadv", SetLastError = true)]
    private static partial nint ReadVectors(SafeFileHandle handle, IoVector* vectors, int count, long offset);

    [LibraryImport("libc", EntryPoint = "preadv2", SetLastError = true)]
    private static partial nint ReadVectors(SafeFileHandle handle, IoVector* vectors, int count, long offset, int flags);

    [LibraryImport("libc", EntryPoint = "pwritev", SetLastError = true)]
    private static partial nint WriteVectors(SafeFileHandle handle, IoVector* vectors, int count, long offset);

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    private static partial int DataSync(SafeFileHandle handle);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int Allocate(SafeFileHandle handle, int mode, long offset, long length);

    [LibraryImport("libc", EntryPoint = "fstatvfs", SetLastError = true)]
    private static partial int FileSystem(SafeFileHandle handle, byte* result);
}
