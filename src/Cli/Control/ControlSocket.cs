using System.Runtime.InteropServices;
using System.Text;

namespace Dbt.Cli.Control;

/// <summary>
/// A listening UNIX socket that costs next to nothing until somebody connects: three system calls and a thread that sleeps in poll.
/// .NET's own would load and start its machinery in each start of a guest, though hardly any guest is ever asked for anything.
/// </summary>
internal sealed partial class ControlSocket : IDisposable
{
    private const ushort Family = 1; // AF_UNIX
    private const int Stream = 1, CloseOnExec = 0x80000, NonBlocking = 0x800, Backlog = 64, ShutBoth = 2;
    private const short PollIn = 1;

    private readonly Lock _lock = new();
    private string? _path;
    private bool _disposed;

    private ControlSocket(string path, int handle)
    {
        _path = path;
        Handle = handle;
    }

    /// <summary>Its descriptor.</summary>
    public int Handle { get; }

    /// <summary>Listens.</summary>
    /// <param name="path">At most <see cref="ControlFolder.LongestPath"/> bytes.</param>
    /// <param name="onPending">Called once, on a thread of its own, when somebody connects.</param>
    /// <exception cref="IOException">The host refuses.</exception>
    public static unsafe ControlSocket Listen(string path, Action onPending)
    {
        byte[] name = Encoding.UTF8.GetBytes(path);
        if (name.Length > ControlFolder.LongestPath)
        {
            throw new IOException($"{path} is too long for a socket");
        }

        int handle = Check(Create(Family, Stream | CloseOnExec | NonBlocking, 0), path);
        byte* address = stackalloc byte[2 + ControlFolder.LongestPath + 1];
        new Span<byte>(address, 2 + ControlFolder.LongestPath + 1).Clear();
        *(ushort*)address = Family;
        name.CopyTo(new Span<byte>(address + 2, name.Length));
        File.Delete(path); // of a process that is gone
        try
        {
            Check(Bind(handle, address, (uint)(2 + name.Length + 1)), path);
#pragma warning disable CA1416 // there is no Windows build
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
#pragma warning restore CA1416
            Check(Listen(handle, Backlog), path);
        }
        catch (IOException)
        {
            _ = Close(handle);
            throw;
        }

        var socket = new ControlSocket(path, handle);
        new Thread(() => socket.Wait(onPending), maxStackSize: 128 << 10) { IsBackground = true, Name = "control" }.Start();
        return socket;
    }

    /// <summary>Gives it another path.</summary>
    /// <exception cref="IOException">The host refuses.</exception>
    public void MoveTo(string path)
    {
        lock (_lock)
        {
            if (_path is not null)
            {
                File.Move(_path, path, overwrite: true);
                _path = path;
            }
        }
    }

    /// <summary>Removes its path: nobody finds it any more.</summary>
    public void Hide()
    {
        lock (_lock)
        {
            if (_path is not null)
            {
                File.Delete(_path);
                _path = null;
            }
        }
    }

    /// <summary>Listens no more. A server that took it over is stopped before.</summary>
    public void Dispose()
    {
        Hide();
        lock (_lock)
        {
            if (!_disposed)
            {
                _disposed = true;
                _ = Shut(Handle, ShutBoth); // ends the poll
            }
        }
    }

    private unsafe void Wait(Action onPending)
    {
        const int interrupted = 4;
        var poll = new PollDescriptor { Descriptor = Handle, Events = PollIn };
        int ready;
        do
        {
            ready = Poll(&poll, 1, -1);
        }
        while (ready < 0 && Marshal.GetLastPInvokeError() == interrupted);
        lock (_lock)
        {
            if (_disposed || ready <= 0)
            {
                _ = Close(Handle);
                return;
            }
        }

        onPending();
    }

    private static int Check(int result, string path) =>
        result >= 0 ? result : throw new IOException($"{path}: no socket can be made: error {Marshal.GetLastPInvokeError()}");

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial int Create(int family, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "bind", SetLastError = true)]
    private static unsafe partial int Bind(int handle, byte* address, uint length);

    [LibraryImport("libc", EntryPoint = "listen", SetLastError = true)]
    private static partial int Listen(int handle, int backlog);

    [LibraryImport("libc", EntryPoint = "shutdown")]
    private static partial int Shut(int handle, int how);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static unsafe partial int Poll(PollDescriptor* descriptors, nuint count, int milliseconds);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int handle);

    private struct PollDescriptor
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }
}
