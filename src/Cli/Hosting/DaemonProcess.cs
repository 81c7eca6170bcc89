using System.Runtime.InteropServices;
using Dbt.Cli.Control;
using Dbt.Cli.Packages;
using Dbt.Cli.Profile;
using Dbt.Translator.Diagnostics;

namespace Dbt.Cli.Hosting;

/// <summary>The daemon's process, from its start to its end.</summary>
internal static partial class DaemonProcess
{
    /// <summary>What one that was started detached writes to who started it: that it listens, that another does; anything else is an error.</summary>
    public const string Ready = "ready", Taken = "taken";

    private const int StandardInput = 0, StandardOutput = 1, StandardError = 2;

    /// <summary>Where a detached one writes.</summary>
    public static string LogPath => Path.Combine(UserFolders.State, "dbtd.log");

    /// <summary>Runs it in the foreground.</summary>
    /// <param name="idleLimit">How long it stays after its last domain has gone.</param>
    /// <param name="listen">Where it listens for guests of other daemons; null for nowhere.</param>
    /// <returns>The exit status.</returns>
    /// <exception cref="ControlException">There is one already.</exception>
    /// <exception cref="IOException">The host refuses.</exception>
    public static async Task<int> RunAsync(TimeSpan idleLimit, string? listen)
    {
        var folder = ControlFolder.Open(ControlFolder.DefaultPath);
        using DaemonLock held = DaemonLock.TryTake(folder.DaemonLock)
            ?? throw new ControlException(ControlError.Exists, $"a daemon runs already (process {DaemonLock.ReadOwner(folder.DaemonLock)})");
        return await ServeAsync(folder, new DaemonLog(Console.Error), "standard error", idleLimit, listen, static () => { }).ConfigureAwait(false);
    }

    /// <summary>Runs it apart from who started it, who reads one line on this process's standard output.</summary>
    /// <returns>The exit status.</returns>
    public static async Task<int> RunDetachedAsync(TimeSpan idleLimit)
    {
        try
        {
            // A session of its own: keys of the terminal don't reach it, nor does the terminal's end.
            _ = CreateSession();
            Directory.SetCurrentDirectory("/");
            var folder = ControlFolder.Open(ControlFolder.DefaultPath);
            using DaemonLock? held = DaemonLock.TryTake(folder.DaemonLock);
            if (held is null)
            {
                Console.Out.WriteLine(Taken);
                return ExitStatus.Failure;
            }

            using StreamWriter log = OpenLog();
            return await ServeAsync(folder, new DaemonLog(log), LogPath, idleLimit, listen: null, () =>
            {
                Console.Out.WriteLine(Ready);
                Redirect((FileStream)log.BaseStream);
            }).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or OutOfMemoryException)
        {
            Console.Out.WriteLine(exception.Message);
            return ExitStatus.Failure;
        }
    }

    private static async Task<int> ServeAsync(ControlFolder folder, DaemonLog log, string logName, TimeSpan idleLimit, string? listen, Action ready)
    {
        ProcessorRegistry.Describe(GuestFacts.Name, "dbtd");
        using var host = new DaemonHost(log, logName, idleLimit);
        if (listen is not null)
        {
            host.Listen(listen);
        }

        await using ControlServer server = ControlServer.Start(folder.DaemonSocket, new ControlServices(host.Guests, host), log.WriteLine);
        using PosixSignalRegistration interrupt = Ends(PosixSignal.SIGINT), terminate = Ends(PosixSignal.SIGTERM), hangUp = Ends(PosixSignal.SIGHUP);
        log.WriteLine(FormattableString.Invariant($"dbt: the daemon runs, process {Environment.ProcessId}, socket {folder.DaemonSocket}"));
        ready();
        await host.Ended.ConfigureAwait(false);

        // Who comes from now on finds none, and starts another, which waits for the lock.
        server.Hide();
        log.WriteLine("dbt: the daemon ends");
        return ExitStatus.Success;

        PosixSignalRegistration Ends(PosixSignal signal) => PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            log.WriteLine($"dbt: {signal}: domains are destroyed");
            host.Stop(force: true);
        });
    }

    private static StreamWriter OpenLog()
    {
        const UnixFileMode ownerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
#pragma warning disable CA1416 // there is no Windows build
        Directory.CreateDirectory(UserFolders.State, ownerOnly | UnixFileMode.UserExecute);
        DaemonLog.Rotate(LogPath);
        return new StreamWriter(new FileStream(LogPath, new FileStreamOptions
        {
            Mode = FileMode.Append,
            Access = FileAccess.Write,
            Share = FileShare.ReadWrite,
            UnixCreateMode = ownerOnly,
            BufferSize = 0,
        }))
        {
            AutoFlush = true,
        };
#pragma warning restore CA1416
    }

    /// <summary>From here on everything that the process says is in the log: a report of the runtime's own too.</summary>
    private static void Redirect(FileStream log)
    {
        int descriptor = (int)log.SafeFileHandle.DangerousGetHandle();
        _ = Duplicate(descriptor, StandardOutput);
        _ = Duplicate(descriptor, StandardError);
        using var nothing = File.OpenHandle("/dev/null");
        _ = Duplicate((int)nothing.DangerousGetHandle(), StandardInput);
    }

    [LibraryImport("libc", EntryPoint = "setsid")]
    private static partial int CreateSession();

    [LibraryImport("libc", EntryPoint = "dup2")]
    private static partial int Duplicate(int from, int to);
}
