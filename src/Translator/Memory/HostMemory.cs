using System.Runtime.InteropServices;

namespace Dbt.Translator.Memory;

/// <summary>Page-granular host memory straight from the operating system: reserved now, committed when touched.</summary>
public static unsafe partial class HostMemory
{
    /// <summary>Bytes of a huge page.</summary>
    public const int HugePageBytes = 2 << 20;

    private const int ProtRead = 1, ProtWrite = 2, ProtExecute = 4;
    private const int MapPrivate = 2, MapFixed = 0x10, MapAnonymous = 0x20, MapNoReserve = 0x4000;
    private const int RemapMayMove = 1, RemapFixed = 2;
    private const int MadviseDontNeed = 4, MadviseHugePage = 14, MadvisePopulateRead = 22, MadvisePopulateWrite = 23;

    /// <summary>Reserves zeroed, writable memory that the host commits lazily.</summary>
    /// <param name="bytes">Length, a multiple of 4096.</param>
    /// <param name="executable">Also executable, for native thunks.</param>
    /// <exception cref="OutOfMemoryException">The host refuses.</exception>
    public static byte* Reserve(nuint bytes, bool executable = false)
    {
        int protection = ProtRead | ProtWrite | (executable ? ProtExecute : 0);
        nint address = Map(0, bytes, protection, MapPrivate | MapAnonymous | MapNoReserve, -1, 0);
        return address == -1
            ? throw new OutOfMemoryException($"The host refused {bytes >> 20} MiB of address space; raise its limit (ulimit -v) or give the guest less memory.")
            : (byte*)address;
    }

    /// <summary>
    /// The same for what will be used from its start to its end: in huge pages where the host has them, so that the first touch costs a fault for 2 MiB instead of one for each 4 KiB
    /// (11 microseconds each on a host that is itself a guest, docs/PERFORMANCE.md).
    /// </summary>
    /// <param name="bytes">Length, a multiple of <see cref="HugePageBytes"/>.</param>
    /// <exception cref="OutOfMemoryException">The host refuses.</exception>
    public static byte* ReserveHuge(nuint bytes)
    {
        byte* reserved = Reserve(bytes + HugePageBytes);
        byte* aligned = (byte*)(((nuint)reserved + HugePageBytes - 1) & ~((nuint)HugePageBytes - 1));
        nuint before = (nuint)(aligned - reserved);
        if (before != 0)
        {
            Release(reserved, before);
        }

        Release(aligned + bytes, HugePageBytes - before);
        PreferHuge(aligned, bytes);
        return aligned;
    }

    /// <summary>Says that memory which isn't touched yet may come in huge pages. Only what of it is a huge page as a whole does.</summary>
    public static void PreferHuge(byte* address, nuint bytes)
    {
        nuint first = ((nuint)address + HugePageBytes - 1) & ~((nuint)HugePageBytes - 1);
        nuint end = ((nuint)address + bytes) & ~((nuint)HugePageBytes - 1);
        if (end > first)
        {
            _ = Advise((nint)first, end - first, MadviseHugePage);
        }
    }

    /// <summary>Gives the pages back to the host; they read as zero afterwards.</summary>
    public static void Discard(byte* address, nuint bytes)
    {
        if (Advise((nint)address, bytes, MadviseDontNeed) != 0)
        {
            // The host keeps locked pages; what was in them is nobody else's all the same.
            NativeMemory.Clear(address, bytes);
        }
    }

    /// <summary>Has the host commit a part of a reservation at once, which is cheaper than page by page as it is touched. A host that can't (Linux before 5.14) goes on doing that.</summary>
    public static void Commit(byte* address, nuint bytes) => _ = Advise((nint)address, bytes, MadvisePopulateWrite);

    /// <summary>Reserves addresses at which nothing can be read or written, until something is mapped there.</summary>
    /// <returns>Null where the host refuses.</returns>
    public static byte* ReserveAddresses(nuint bytes)
    {
        nint address = Map(0, bytes, 0, MapPrivate | MapAnonymous | MapNoReserve, -1, 0);
        return address == -1 ? null : (byte*)address;
    }

    /// <summary>Has a part of <see cref="ReserveAddresses"/> be as that left it.</summary>
    public static bool TryHide(byte* address, nuint bytes) =>
        Map((nint)address, bytes, 0, MapPrivate | MapAnonymous | MapNoReserve | MapFixed, -1, 0) != -1;

    /// <summary>Maps memory that can be shared (<see cref="MemoryFile.Contents"/>) a second time, over a part of <see cref="ReserveAddresses"/>.</summary>
    /// <param name="at">Where.</param>
    /// <param name="memory">What, as it is mapped already.</param>
    /// <param name="bytes">How much.</param>
    /// <param name="write">Whether it may be written there.</param>
    /// <returns>False where the host can't, or it is memory of another kind.</returns>
    public static bool TryMapAgain(byte* at, byte* memory, nuint bytes, bool write)
    {
        if (Remap((nint)memory, 0, bytes, RemapMayMove | RemapFixed, (nint)at) == -1 || (!write && Protect((nint)at, bytes, ProtRead) != 0))
        {
            return false;
        }

        // At once, rather than by a fault for each page. A host that can't (Linux before 5.14) does it so.
        _ = Advise((nint)at, bytes, write ? MadvisePopulateWrite : MadvisePopulateRead);
        return true;
    }

    /// <summary>Ends a reservation.</summary>
    public static void Release(byte* address, nuint bytes) => _ = Unmap((nint)address, bytes);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int fd, long offset);

    [LibraryImport("libc", EntryPoint = "mremap", SetLastError = true)]
    private static partial nint Remap(nint address, nuint length, nuint newLength, int flags, nint newAddress);

    [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    private static partial int Protect(nint address, nuint length, int protection);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int Unmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    private static partial int Advise(nint address, nuint length, int advice);
}
