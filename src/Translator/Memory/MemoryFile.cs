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

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int fd, long offset);
}
