using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Dbt.Cli.Migration;

/// <summary>
/// Listens for daemons that send guests. Whoever connects has a few seconds to show a certificate that is trusted; of those who haven't, there are
/// only so many at a time, and what is kept for each is a handshake's. A thread each: migrations are few.
/// </summary>
internal sealed class MigrationListener : IDisposable
{
    /// <summary>Connections at a time that haven't shown who they are.</summary>
    public const int MostStrangers = 16;

    /// <summary>Connections at a time of those that have.</summary>
    public const int MostPeers = 16;

    private readonly Socket _socket;
    private readonly SecureConnection _security;
    private readonly IArrivals _arrivals;
    private readonly MigrationOptions _options;
    private readonly Action<string> _log;
    private readonly TimeSpan _handshakeLimit;
    private int _strangers, _peers;
    private volatile bool _disposed;

    /// <summary>Begins to listen.</summary>
    /// <param name="address">ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT, of this host.</param>
    /// <param name="security">Who we are, and whom we trust.</param>
    /// <param name="arrivals">Makes the guests.</param>
    /// <param name="options">Limits.</param>
    /// <param name="log">Where is said who came, and what of it.</param>
    /// <param name="handshakeLimit">How long a stranger has.</param>
    /// <exception cref="MigrationException">It can't listen there.</exception>
    public MigrationListener(string address, SecureConnection security, IArrivals arrivals, MigrationOptions options, Action<string> log, TimeSpan? handshakeLimit = null)
    {
        (_security, _arrivals, _options, _log) = (security, arrivals, options, log);
        _handshakeLimit = handshakeLimit ?? TimeSpan.FromSeconds(10);
        (string host, int port) = address.EndsWith(":0", StringComparison.Ordinal) ? (address[..^2].Trim('[', ']'), 0) : NetworkPath.Parse(address);
        if (!IPAddress.TryParse(host, out IPAddress? ip))
        {
            throw new MigrationException($"'{host}' is no address to listen on; 0.0.0.0 is all of IPv4");
        }

        _socket = new Socket(ip.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // A daemon that was killed leaves connections behind that would keep the port for a minute.
            _socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            _socket.Bind(new IPEndPoint(ip, port));
            _socket.Listen(MostStrangers);
        }
        catch (SocketException exception)
        {
            _socket.Dispose();
            throw new MigrationException($"can't listen on {address}: {exception.Message}", exception);
        }

        EndPoint = (IPEndPoint)_socket.LocalEndPoint!;
        new Thread(Accept) { IsBackground = true, Name = "migration" }.Start();
    }

    /// <summary>Where it listens.</summary>
    public IPEndPoint EndPoint { get; }

    /// <summary>Which migrations were decided how.</summary>
    public MigrationLedger Ledger { get; } = new();

    /// <inheritdoc/>
    public void Dispose()
    {
        _disposed = true;
        _socket.Dispose();
    }

    private void Accept()
    {
        while (!_disposed)
        {
            Socket client;
            try
            {
                client = _socket.Accept();
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
                if (!_disposed)
                {
                    // The host is short of descriptors, or the caller was gone at once.
                    Thread.Sleep(10);
                }

                continue;
            }

            if (Interlocked.Increment(ref _strangers) > MostStrangers)
            {
                Interlocked.Decrement(ref _strangers);
                client.Dispose();
                continue;
            }

            new Thread(() => Serve(client)) { IsBackground = true, Name = "migration" }.Start();
        }
    }

    private void Serve(Socket client)
    {
        string who = "?";
        bool known = false;
        try
        {
            who = client.RemoteEndPoint?.ToString() ?? who;
            FramedChannel channel;
            string fingerprint;
            using (new Timer(_ => client.Dispose(), null, _handshakeLimit, Timeout.InfiniteTimeSpan))
            {
                channel = _security.Accept(client, out fingerprint);
            }

            using (channel)
            {
                known = true;
                Interlocked.Decrement(ref _strangers);
                if (Interlocked.Increment(ref _peers) > MostPeers)
                {
                    throw new MigrationException("too many connections at a time");
                }

                new IncomingMigration(channel, fingerprint, Ledger, _arrivals, _options).Serve();
            }
        }
        catch (Exception exception) when (exception is IOException or MigrationException or SocketException or ObjectDisposedException)
        {
            _log(string.Create(CultureInfo.InvariantCulture, $"dbt: migration from {who}: {exception.Message}"));
        }
        finally
        {
            Interlocked.Decrement(ref known ? ref _peers : ref _strangers);
        }
    }
}
