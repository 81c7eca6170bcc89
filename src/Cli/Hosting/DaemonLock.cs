using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Dbt.Cli.Hosting;

/// <summary>
/// What makes the daemon the only one: a lock on a file that is never removed, held until the process ends, however it ends. The file holds the
/// process's number, for people.
/// </summary>
internal sealed partial class DaemonLock : IDisposable
{
    private const int Exclusive = 2, NonBlocking = 4;

    private readonly SafeFileHandle _file;

    private DaemonLock(SafeFileHandle file) => _file = file;

    /// <summary>Takes it; null where another process has it.</summary>
    /// <exception cref="IOException">The file can't be opened.</exception>
    public static DaemonLock? TryTake(string path)
    {
        SafeFileHandle file = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite);
        if (Lock((int)file.DangerousGetHandle(), Exclusive | NonBlocking) != 0)
        {
            file.Dispose();
            return null;
        }

        RandomAccess.SetLength(file, 0);
        RandomAccess.Write(file, System.Text.Encoding.ASCII.GetBytes($"{Environment.ProcessId}\n"), 0);
        return new DaemonLock(file);
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    [LibraryImport("libc", EntryPoint = "flock")]
    private static partial int Lock(int descriptor, int operation);
}
