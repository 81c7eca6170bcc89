using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Dbt.Cli.Hosting;

/// <summary>
/// What makes the daemon the only one: a lock on a file that is never removed, held until the process ends, however it ends. The file holds the
/// process's number, for people.
/// </summary>
internal sealed partial class DaemonLock : IDisposable
{
    private const int Exclusive = 2, NonBlocking = 4;
    private const int ReadWriteCreate = 0x42, CloseOnExec = 0x80000, OwnerOnly = 0x180;

    private readonly SafeFileHandle _file;

    private DaemonLock(SafeFileHandle file) => _file = file;

    /// <summary>Takes it; null where another process has it.</summary>
    /// <exception cref="IOException">The file can't be opened.</exception>
    public static DaemonLock? TryTake(string path)
    {
        SafeFileHandle file = OpenFile(path);
        if (Lock((int)file.DangerousGetHandle(), Exclusive | NonBlocking) != 0)
        {
            file.Dispose();
            return null;
        }

        RandomAccess.SetLength(file, 0);
        RandomAccess.Write(file, Encoding.ASCII.GetBytes($"{Environment.ProcessId}\n"), 0);
        return new DaemonLock(file);
    }

    /// <summary>The number of the process that has it.</summary>
    /// <exception cref="IOException">The file can't be opened.</exception>
    public static string ReadOwner(string path)
    {
        Span<byte> text = stackalloc byte[32];
        using SafeFileHandle file = OpenFile(path);
        return Encoding.ASCII.GetString(text[..RandomAccess.Read(file, text, 0)]).Trim();
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    // .NET's own way of opening takes a lock of the same kind.
    private static SafeFileHandle OpenFile(string path)
    {
        int descriptor = Open(path, ReadWriteCreate | CloseOnExec, OwnerOnly);
        return descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true)
            : throw new IOException($"{path} can't be opened: error {Marshal.GetLastPInvokeError()}");
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "flock")]
    private static partial int Lock(int descriptor, int operation);
}
