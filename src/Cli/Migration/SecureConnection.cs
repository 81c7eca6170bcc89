using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Dbt.Cli.Migration;

/// <summary>TLS between two daemons: 1.3, both show a certificate, and each goes on only with one that it trusts by itself.</summary>
internal sealed class SecureConnection
{
    /// <summary>The port where nobody says otherwise.</summary>
    public const int DefaultPort = 8004;

    private readonly X509Certificate2 _own;
    private readonly TrustedPeers _peers;

    /// <param name="folder">That of <see cref="MigrationIdentity"/>.</param>
    /// <exception cref="MigrationException">There is no key to be had.</exception>
    public SecureConnection(string folder)
    {
        _own = new MigrationIdentity(folder).Load();
        _peers = new TrustedPeers(folder);
    }

    /// <summary>Shows who we are on a connection that was made, and sees who answers.</summary>
    /// <param name="socket">Taken over.</param>
    /// <param name="fingerprint">Whom it was.</param>
    /// <exception cref="IOException">It was lost.</exception>
    /// <exception cref="MigrationException">It isn't whom we trust.</exception>
    public FramedChannel Connect(Socket socket, out string fingerprint) => Shake(socket, out fingerprint, (stream, check) => stream.AuthenticateAsClient(new SslClientAuthenticationOptions
    {
        TargetHost = "",
        ClientCertificates = [_own],
        LocalCertificateSelectionCallback = (_, _, _, _, _) => _own,
        EnabledSslProtocols = SslProtocols.Tls13,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        RemoteCertificateValidationCallback = check,
    }));

    /// <summary>The same on a connection that came in.</summary>
    /// <param name="socket">Taken over.</param>
    /// <param name="fingerprint">Whom it was.</param>
    /// <exception cref="IOException">It was lost.</exception>
    /// <exception cref="MigrationException">It isn't whom we trust.</exception>
    public FramedChannel Accept(Socket socket, out string fingerprint) => Shake(socket, out fingerprint, (stream, check) => stream.AuthenticateAsServer(new SslServerAuthenticationOptions
    {
        ServerCertificate = _own,
        ClientCertificateRequired = true,
        EnabledSslProtocols = SslProtocols.Tls13,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        RemoteCertificateValidationCallback = check,
    }));

    private FramedChannel Shake(Socket socket, out string fingerprint, Action<SslStream, RemoteCertificateValidationCallback> shake)
    {
        string? shown = null, problem = null;
        bool Check(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
        {
            // Who signed it, when, and for which name is of no account.
            if (certificate is null)
            {
                problem = "it shows no certificate";
                return false;
            }

            shown = MigrationIdentity.Fingerprint(certificate);
            try
            {
                problem = _peers.NameOf(certificate, _own) is null ? $"it isn't trusted here: its certificate is {shown} (dbt migrate-trust)" : null;
            }
            catch (MigrationException exception)
            {
                problem = exception.Message;
            }

            return problem is null;
        }

        SslStream? stream = null;
        try
        {
            socket.NoDelay = true;
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 10);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 5);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 4);
            stream = new SslStream(new NetworkStream(socket, ownsSocket: true));
            shake(stream, Check);
            fingerprint = shown ?? throw new AuthenticationException("it shows no certificate");
            return new FramedChannel(stream);
        }
        catch (Exception exception) when (exception is AuthenticationException or IOException or SocketException or ObjectDisposedException or InvalidOperationException)
        {
            stream?.Dispose();
            socket.Dispose();
            throw problem is not null ? new MigrationException(problem, exception)
                : exception is AuthenticationException ? new MigrationException($"TLS: {exception.Message}", exception)
                : exception as IOException ?? new IOException(exception.Message, exception);
        }
    }
}
