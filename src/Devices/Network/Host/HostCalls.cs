using System.Runtime.InteropServices;

namespace Dbt.Devices.Network.Host;

/// <summary>Linux's system calls for descriptors that .NET has no class for: character devices, and waiting for several at once.</summary>
internal static unsafe partial class HostCalls
{
    /// <summary>Flags of open(2) and eventfd(2).</summary>
    public const int ReadWrite = 2, NonBlocking = 0x800, CloseOnExec = 0x80000;

    /// <summary>Events of poll(2).</summary>
    public const short PollIn = 1, PollOut = 4, PollError = 8, PollHangUp = 16;

    /// <summary>Numbers of errno(3).</summary>
    public const int NotPermitted = 1, NoEntry = 2, Interrupted = 4, NoDevice = 6, Again = 11, AccessDenied = 13, Busy = 16, NoSuchDevice = 19,
        Invalid = 22, ConnectionReset = 104, NotConnected = 107, ConnectionRefused = 111;

    /// <summary>open(2).</summary>
    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Open(string path, int flags);

    /// <summary>close(2).</summary>
    [LibraryImport("libc", EntryPoint = "close")]
    public static partial int Close(int descriptor);

    /// <summary>read(2).</summary>
    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    public static partial nint Read(int descriptor, void* buffer, nuint length);

    /// <summary>write(2).</summary>
    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    public static partial nint Write(int descriptor, void* buffer, nuint length);

    /// <summary>writev(2).</summary>
    [LibraryImport("libc", EntryPoint = "writev", SetLastError = true)]
    public static partial nint WriteVector(int descriptor, Piece* pieces, int count);

    /// <summary>ioctl(2) with a pointer.</summary>
    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static partial int Control(int descriptor, nuint request, void* argument);

    /// <summary>poll(2); negative milliseconds wait for ever.</summary>
    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    public static partial int Poll(PollEntry* entries, nuint count, int milliseconds);

    /// <summary>eventfd(2).</summary>
    [LibraryImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    public static partial int CreateEvent(uint initial, int flags);

    /// <summary>An element of writev(2).</summary>
    public struct Piece
    {
        public void* Start;
        public nuint Length;
    }

    /// <summary>An element of poll(2).</summary>
    public struct PollEntry
    {
        public int Descriptor;
        public short Wanted;
        public short Ready;
    }
}
