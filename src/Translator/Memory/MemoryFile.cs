using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Dbt.Translator.Memory;

/// <summary>
/// Memory of the host's that has no place yet: a file without a name (memfd_create), as large as an address space and with nothing in it but what is
/// written. It can be mapped copy-on-write as often as one likes, and is there until nobody has it mapped.
/// </summary>
public sealed unsafe partial class MemoryFile : IDisposable
{
    private const uint CloseOnExec = 1;
    private const int ProtRead = 1, ProtWrite = 2;
    private const int MapShared = 1, MapPrivate = 2, MapFixed = 0x10, MapNoReserve = 0x4000;
    private const int KeepSize = 1, PunchHole = 2, SeekData = 3, SeekHole = 4, NothingBehind = 6;

    private readonly SafeFileHandle _file;
    private readonly nuint _bytes;

    /// <summary>Makes an empty one.</summary>
    /// <param name="bytes">Its size; a multiple of 4096.</param>
    /// <exception cref="OutOfMemoryException">The host refuses.</exception>
    public MemoryFile(nuint bytes)
    {
        _bytes = bytes;
        int file = Create("dbt", CloseOnExec);
        _file = new SafeFileHandle(file, ownsHandle: true);
        if (file < 0 || Truncate(file, (long)bytes) != 0)
        {
            _file.Dispose();
            throw Refused();
        }

        nint address = Map(0, bytes, ProtRead | ProtWrite, MapShared | MapNoReserve, file, 0);
        if (address == -1)
        {
            _file.Dispose();
            throw Refused();
        }

        Contents = (byte*)address;
    }

    /// <summary>Its contents, to write and to read. Zero where nothing was written.</summary>
    public byte* Contents { get; private set; }

    /// <summary>Maps a part of it over memory of <see cref="HostMemory.Reserve"/>: what is written there is there alone.</summary>
    /// <param name="address">Where; a multiple of 4096, as are the others.</param>
    /// <param name="offset">Its first byte in the file.</param>
    /// <param name="bytes">How much.</param>
    /// <returns>False where the host can't; nothing has changed then.</returns>
    public bool TryMapPrivate(byte* address, ulong offset, nuint bytes) =>
        Map((nint)address, bytes, ProtRead | ProtWrite, MapPrivate | MapFixed | MapNoReserve, (int)_file.DangerousGetHandle(), (long)offset) != -1;

    /// <summary>Has a part of <see cref="Contents"/> be the file's own, where something else was mapped.</summary>
    /// <param name="offset">Its first byte.</param>
    /// <param name="bytes">How much.</param>
    /// <returns>False where the host can't; it is as it was then.</returns>
    public bool TryRenew(ulong offset, nuint bytes) =>
        Map((nint)Contents + (nint)offset, bytes, ProtRead | ProtWrite, MapShared | MapFixed | MapNoReserve, (int)_file.DangerousGetHandle(), (long)offset) != -1;

    /// <summary>Gives pages back to the host; they read as zero afterwards, wherever they are mapped.</summary>
    public void Discard(ulong offset, nuint bytes)
    {
        if (Allocate((int)_file.DangerousGetHandle(), KeepSize | PunchHole, (long)offset, (long)bytes) != 0)
        {
            NativeMemory.Clear(Contents + offset, bytes);
        }
    }

    /// <summary>The next part of the file for which the host has memory.</summary>
    /// <param name="from">Where to look from.</param>
    /// <param name="start">Its first byte.</param>
    /// <param name="end">Behind its last.</param>
    /// <returns>False where there is none.</returns>
    public bool TryFindData(ulong from, out ulong start, out ulong end)
    {
        int file = (int)_file.DangerousGetHandle();
        long data = Seek(file, (long)from, SeekData);
        if (data < 0)
        {
            // A host that doesn't know says so otherwise: all may be data then.
            (start, end) = (from, _bytes);
            return Marshal.GetLastPInvokeError() != NothingBehind && from < _bytes;
        }

        long hole = Seek(file, data, SeekHole);
        (start, end) = ((ulong)data, hole > data ? (ulong)hole : _bytes);
        return true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Contents != null)
        {
            HostMemory.Release(Contents, _bytes);
            Contents = null;
            _file.Dispose();
        }
    }

    private static OutOfMemoryException Refused() => new("The host refused memory for the guest's pages; raise its limits (ulimit -v, ulimit -n).");

    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Create(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    private static partial int Truncate(int file, long length);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int Allocate(int file, int mode, long offset, long length);

    [LibraryImport("libc", EntryPoint = "lseek", SetLastError = true)]
    private static partial long Seek(int file, long offset, int whence);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int fd, long offset);
}
