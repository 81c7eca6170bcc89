using Dbt.Cli.Hosting;
using Dbt.Cli.Running;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Dbt.Cli.Control;

/// <summary>What a process answers with.</summary>
/// <param name="Guests">Its guests.</param>
/// <param name="Daemon">Where it is the daemon, that.</param>
internal sealed record ControlServices(GuestHost Guests, DaemonHost? Daemon);

/// <summary>
/// Answers what is asked of the guests of this process, gRPC over a UNIX socket. The web server behind it is started by the first connection, which
/// waits in the socket's queue meanwhile.
/// </summary>
internal sealed class ControlServer : IAsyncDisposable
{
    /// <summary>Connections at a time: further ones are closed at once. And calls at a time of each, further ones wait.</summary>
    public const int MostConnections = 128, MostCalls = 100;

    private readonly Lock _lock = new();
    private readonly ControlServices _services;
    private readonly ControlSocket _socket;
    private readonly Action<string> _log;
    private Task<WebApplication>? _server;
    private bool _disposed;

    private ControlServer(ControlServices services, string path, Action<string> log)
    {
        _services = services;
        _log = log;
        _socket = ControlSocket.Listen(path, Serve);
    }

    /// <summary>Listens.</summary>
    /// <param name="path">The socket.</param>
    /// <param name="services">What answers.</param>
    /// <param name="log">Told what goes wrong with the server itself.</param>
    /// <exception cref="IOException">The host refuses.</exception>
    public static ControlServer Start(string path, ControlServices services, Action<string> log) => new(services, path, log);

    /// <summary>Its socket gets another path.</summary>
    /// <exception cref="IOException">The host refuses.</exception>
    public void MoveTo(string path) => _socket.MoveTo(path);

    /// <summary>Removes the socket, so that nobody comes any more; who has come is served on.</summary>
    public void Hide() => _socket.Hide();

    /// <summary>Stops; calls that are under way get a moment to end.</summary>
    public async ValueTask DisposeAsync()
    {
        Task<WebApplication>? server;
        lock (_lock)
        {
            _disposed = true;
            server = _server;
        }

        if (server is not null)
        {
            try
            {
                WebApplication application = await server.ConfigureAwait(false);
                using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(1));
                await application.StopAsync(limit.Token).ConfigureAwait(false);
                await application.DisposeAsync().ConfigureAwait(false);
            }
            catch (IOException)
            {
                // It did not start, and has said so.
            }
        }

        _socket.Dispose();
    }

    private void Serve()
    {
        lock (_lock)
        {
            if (!_disposed)
            {
                _server = StartAsync();
            }
        }
    }

    private async Task<WebApplication> StartAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore();
        builder.WebHost.ConfigureKestrel(options =>
        {
            options.AddServerHeader = false;
            options.Limits.MaxConcurrentConnections = MostConnections;
            options.Limits.Http2.MaxStreamsPerConnection = MostCalls;
            options.ListenHandle((ulong)_socket.Handle, listen => listen.Protocols = HttpProtocols.Http2);
        });
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.Services.AddSingleton(_services);
        builder.Services.AddGrpc(options => options.EnableDetailedErrors = true);
        WebApplication application = builder.Build();
        application.MapGrpcService<ControlService>();
        application.MapGrpcService<StoreService>();
        if (_services.Daemon is not null)
        {
            application.MapGrpcService<DaemonService>();
        }

        try
        {
            await application.StartAsync().ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is IOException or InvalidOperationException)
        {
            _log($"control: nothing can be asked from outside: {exception.Message}");
            throw new IOException(exception.Message, exception);
        }

        return application;
    }

    /// <summary>Signals are the command's business.</summary>
    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
