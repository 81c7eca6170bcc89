using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using Dbt.Cli.Control;
using Grpc.Core;
using Grpc.Net.Client;

namespace Dbt.Cli.Hosting;

/// <summary>A connection to the daemon, and starting it.</summary>
internal sealed class DaemonClient : IDisposable
{
    // Starting takes a fraction of a second; a host under load, or a daemon that is just ending, takes longer.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(20);

    private readonly GrpcChannel _channel;

    private DaemonClient(string socket)
    {
        _channel = ControlClient.Channel(socket);
        Calls = new Api.Daemon.DaemonClient(_channel);
    }

    /// <summary>What can be asked.</summary>
    public Api.Daemon.DaemonClient Calls { get; }

    /// <summary>The daemon that runs; null where none does.</summary>
    /// <exception cref="IOException">The folder isn't this user's alone.</exception>
    public static DaemonClient? TryFind()
    {
        var folder = ControlFolder.Open(ControlFolder.DefaultPath);
        return IsListening(folder.DaemonSocket) ? new DaemonClient(folder.DaemonSocket) : null;
    }

    /// <summary>The daemon that runs; it is started where none does. Several may start it at a time: one becomes it.</summary>
    /// <param name="idle">How long one that is started stays after its last guest; null for what it takes by itself.</param>
    /// <exception cref="ControlException">It can't be started.</exception>
    public static async Task<DaemonClient> StartAsync(TimeSpan? idle = null)
    {
        var folder = ControlFolder.Open(ControlFolder.DefaultPath);
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < Patience)
        {
            if (IsListening(folder.DaemonSocket))
            {
                return new DaemonClient(folder.DaemonSocket);
            }

            string answer = await LaunchAsync(idle).ConfigureAwait(false);
            if (answer is not (DaemonProcess.Ready or DaemonProcess.Taken))
            {
                throw new ControlException(ControlError.Unavailable, $"the daemon can't be started: {answer}");
            }

            // Another is starting, or ending.
            if (answer == DaemonProcess.Taken)
            {
                await Task.Delay(Step).ConfigureAwait(false);
            }
        }

        throw new ControlException(ControlError.Unavailable, $"the daemon doesn't answer at {folder.DaemonSocket}; its log: {DaemonProcess.LogPath}");
    }

    /// <summary>Makes a call.</summary>
    /// <exception cref="ControlException">It was refused, or the daemon is gone.</exception>
    public async Task<T> CallAsync<T>(Func<Api.Daemon.DaemonClient, AsyncUnaryCall<T>> call)
    {
        try
        {
            return await call(Calls).ResponseAsync.ConfigureAwait(false);
        }
        catch (RpcException exception)
        {
            throw ControlErrors.From(exception, "the daemon");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _channel.Dispose();

    private static bool IsListening(string path)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException)
        {
            return false; // none, or what one left behind
        }
    }

    private static async Task<string> LaunchAsync(TimeSpan? idle)
    {
        string self = typeof(DaemonClient).Assembly.Location, host = Environment.ProcessPath ?? "dotnet";
        bool isHost = Path.GetFileNameWithoutExtension(host) == Path.GetFileNameWithoutExtension(self);
        string[] words = ["daemon", "--detached", .. idle is { } limit ? ["--idle", limit.TotalSeconds.ToString(CultureInfo.InvariantCulture)] : Array.Empty<string>()];
        using var process = Process.Start(new ProcessStartInfo(isHost ? host : Dotnet(host), isHost ? words : [self, .. words])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        }) ?? throw new ControlException(ControlError.Unavailable, "the daemon can't be started");
        process.StandardInput.Close();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        if (await process.StandardOutput.ReadLineAsync().ConfigureAwait(false) is string line)
        {
            return line;
        }

        await process.WaitForExitAsync().ConfigureAwait(false);
        string said = await errors.ConfigureAwait(false);
        return $"it ended with status {process.ExitCode.ToString(CultureInfo.InvariantCulture)} {said.Trim()}".TrimEnd();
    }

    // A test's host, for instance, is no dotnet.
    private static string Dotnet(string host) => Path.GetFileNameWithoutExtension(host) == "dotnet" ? host : "dotnet";
}
