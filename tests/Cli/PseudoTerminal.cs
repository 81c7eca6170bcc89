using System.Buffers.Binary;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Dbt.Tests.Cli;

/// <summary>The command on a pseudo terminal of its own, as a person has it: it is the session's leader, and its keys are typed here.</summary>
internal sealed partial class PseudoTerminal : IDisposable
{
    private const int ReadWrite = 2, NoControllingTerminal = 0x100, CloseOnExec = 0x80000;
    private const nuint SetWindowSize = 0x5414;
    private const uint Canonical = 2;

    private readonly FileStream _master;
    private readonly SafeFileHandle _slave;
    private readonly Process _process;
    private readonly Lock _lock = new();
    private readonly MemoryStream _output = new();
    private readonly ManualResetEventSlim _changed = new();

    /// <summary>Starts <c>dbt</c> with words.</summary>
    public PseudoTerminal(string folder, params string[] words)
    {
        int master = Check(Open(ReadWrite | NoControllingTerminal | CloseOnExec));
        Check(Grant(master));
        Check(Unlock(master));
        byte[] name = new byte[64];
        Check(SlaveName(master, name, (nuint)name.Length));
        string slave = Encoding.ASCII.GetString(name, 0, Array.IndexOf(name, (byte)0));
        ushort[] size = [37, 101, 0, 0];
        Check(Control(master, SetWindowSize, size));
        _master = new FileStream(new SafeFileHandle(master, ownsHandle: true), FileAccess.ReadWrite, bufferSize: 0);

        // Held open, so that its settings and what is left in it outlive the command.
        _slave = File.OpenHandle(slave, FileMode.Open, FileAccess.ReadWrite);
        var start = new ProcessStartInfo("/bin/sh",
            ["-c", "exec setsid -c \"$@\" <\"$0\" >\"$0\" 2>&1", slave, "dotnet", typeof(Dbt.Cli.CommandLine).Assembly.Location, .. words])
        {
            WorkingDirectory = folder,
        };
        start.Environment["XDG_RUNTIME_DIR"] = folder;
        start.Environment["XDG_STATE_HOME"] = folder;
        start.Environment["XDG_CACHE_HOME"] = folder;
        _process = Process.Start(start)!;
        new Thread(Read) { IsBackground = true, Name = "pseudo terminal" }.Start();
    }

    /// <summary>The command's process.</summary>
    public int ProcessId => _process.Id;

    /// <summary>What was shown so far.</summary>
    public string Text
    {
        get
        {
            lock (_lock)
            {
                return Encoding.Latin1.GetString(_output.ToArray());
            }
        }
    }

    /// <summary>Whether the terminal is in raw mode: keys aren't lines, nor signals.</summary>
    public bool IsRaw
    {
        get
        {
            byte[] settings = new byte[120];
            Check(GetAttributes((int)_slave.DangerousGetHandle(), settings));
            return (BinaryPrimitives.ReadUInt32LittleEndian(settings.AsSpan(12)) & Canonical) == 0;
        }
    }

    /// <summary>The terminal's settings.</summary>
    public byte[] Settings
    {
        get
        {
            byte[] settings = new byte[120];
            Check(GetAttributes((int)_slave.DangerousGetHandle(), settings));
            return settings;
        }
    }

    /// <summary>Types.</summary>
    public void Type(ReadOnlySpan<byte> keys) => _master.Write(keys);

    /// <summary>Types.</summary>
    public void Type(string keys) => Type(Encoding.Latin1.GetBytes(keys));

    /// <summary>Waits until a text was shown.</summary>
    public void Await(string text)
    {
        var clock = Stopwatch.StartNew();
        while (!Text.Contains(text, StringComparison.Ordinal))
        {
            Assert.True(clock.Elapsed < TimeSpan.FromMinutes(4), $"'{text}' was not shown, but:\n{Text}");
            _changed.Wait(1000);
            _changed.Reset();
        }
    }

    /// <summary>Sends the command a signal.</summary>
    public void Signal(int signal) => Check(Kill(_process.Id, signal));

    /// <summary>The state letter of the command's process.</summary>
    public char State => File.ReadAllText($"/proc/{_process.Id}/stat").Split(") ")[^1][0];

    /// <summary>Waits for the end.</summary>
    /// <returns>The exit status.</returns>
    public int End()
    {
        Assert.True(_process.WaitForExit(240_000), Text);
        return _process.ExitCode;
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit();
        }

        _slave.Dispose();
        _master.Dispose();
        _process.Dispose();
    }

    private void Read()
    {
        byte[] buffer = new byte[65536];
        while (true)
        {
            int count;
            try
            {
                count = _master.Read(buffer);
            }
            catch (Exception error) when (error is IOException or ObjectDisposedException)
            {
                return;
            }

            lock (_lock)
            {
                _output.Write(buffer, 0, count);
            }

            _changed.Set();
        }
    }

    private static int Check(int result) => result >= 0 ? result : throw new IOException($"error {Marshal.GetLastPInvokeError()} of the C library");

    [LibraryImport("libc", EntryPoint = "posix_openpt", SetLastError = true)]
    private static partial int Open(int flags);

    [LibraryImport("libc", EntryPoint = "grantpt", SetLastError = true)]
    private static partial int Grant(int master);

    [LibraryImport("libc", EntryPoint = "unlockpt", SetLastError = true)]
    private static partial int Unlock(int master);

    [LibraryImport("libc", EntryPoint = "ptsname_r", SetLastError = true)]
    private static partial int SlaveName(int master, [Out] byte[] name, nuint length);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Control(int descriptor, nuint request, ushort[] argument);

    [LibraryImport("libc", EntryPoint = "tcgetattr", SetLastError = true)]
    private static partial int GetAttributes(int descriptor, [Out] byte[] attributes);

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int process, int signal);
}
