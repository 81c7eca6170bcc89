using System.Globalization;
using System.Net.Sockets;

namespace Dbt.Cli.Migration;

/// <summary>A daemon by its host's name or address and port.</summary>
internal sealed class NetworkPath : IMigrationPath
{
    private static readonly TimeSpan ConnectLimit = TimeSpan.FromSeconds(10);

    private readonly SecureConnection _security;
    private string? _fingerprint;

    /// <param name="target">HOST, HOST:PORT, or [ADDRESS]:PORT.</param>
    /// <param name="security">Who we are.</param>
    /// <exception cref="MigrationException">It is none.</exception>
    public NetworkPath(string target, SecureConnection security)
    {
        (Host, Port) = Parse(target);
        _security = security;
    }

    /// <summary>Name or address.</summary>
    public string Host { get; }

    /// <summary>TCP port.</summary>
    public int Port { get; }

    /// <inheritdoc/>
    public IFrameChannel Connect()
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            using var limit = new CancellationTokenSource(ConnectLimit);
            socket.ConnectAsync(Host, Port, limit.Token).AsTask().GetAwaiter().GetResult();
        }
        catch (SocketException exception) when (exception.SocketErrorCode == SocketError.ConnectionRefused)
        {
            socket.Dispose();
            throw new TargetGoneException($"{Host} doesn't listen on port {Port.ToString(CultureInfo.InvariantCulture)} (there: dbt daemon --migration-listen ADDRESS)", exception);
        }
        catch (Exception exception) when (exception is SocketException or OperationCanceledException)
        {
            socket.Dispose();
            throw new IOException(exception is SocketException ? $"{Host}: {exception.Message}" : $"{Host} doesn't answer", exception);
        }

        // The handshake has its own limit: until it is over nothing of ours is under way.
        using var late = new Timer(_ => socket.Dispose(), null, ConnectLimit, Timeout.InfiniteTimeSpan);
        FramedChannel channel = _security.Connect(socket, out string fingerprint);

        // Whom we gave the guest to is whom we ask.
        if (_fingerprint is not null && fingerprint != _fingerprint)
        {
            channel.Dispose();
            throw new MigrationException($"{Host} is another daemon now, with the certificate {fingerprint}");
        }

        _fingerprint = fingerprint;
        return channel;
    }

    /// <summary>Takes a target apart.</summary>
    /// <exception cref="MigrationException">It is none.</exception>
    public static (string Host, int Port) Parse(string target)
    {
        string host = target;
        string? port = null;
        if (target.StartsWith('[') && target.IndexOf(']') is int end and > 0)
        {
            host = target[1..end];
            string rest = target[(end + 1)..];
            port = rest.Length == 0 ? null : rest[0] == ':' ? rest[1..] : "?";
        }
        else if (target.IndexOf(':') is int colon and >= 0 && target.LastIndexOf(':') == colon)
        {
            host = target[..colon];
            port = target[(colon + 1)..];
        }

        int number = SecureConnection.DefaultPort;
        bool good = host.Length != 0 && (port is null || int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out number));
        return good && number is > 0 and <= ushort.MaxValue ? (host, number)
            : throw new MigrationException($"'{target}' is no HOST[:PORT]");
    }
}
