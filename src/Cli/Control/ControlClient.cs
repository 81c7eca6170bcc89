using System.Globalization;
using System.Net.Sockets;
using Dbt.Cli.Api;
using Grpc.Core;
using Grpc.Net.Client;

namespace Dbt.Cli.Control;

/// <summary>A connection to the process that holds a guest, and finding it.</summary>
internal sealed class ControlClient : IDisposable
{
    // A process that is stopped doesn't answer; one that waits for a guest to let go of a device takes up to ten seconds.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    private readonly Connection _connection;
    private readonly Domains.DomainsClient _client;

    private ControlClient(Connection connection, Domain domain)
    {
        Domain = domain;
        _connection = connection;
        _client = new Domains.DomainsClient(connection.Channel);
    }

    /// <summary>The guest as it was when it was found.</summary>
    public Domain Domain { get; }

    /// <summary>Its id, as calls have it.</summary>
    public string Id => Domain.Id.ToString(CultureInfo.InvariantCulture);

    /// <summary>For calls without a deadline.</summary>
    public Domains.DomainsClient Calls => _client;

    /// <summary>All guests of this user that run, by name. Those that don't answer are told of.</summary>
    public static async Task<IReadOnlyList<ControlClient>> AllAsync(ControlFolder folder, TextWriter errors)
    {
        (ControlClient[] Found, string? Trouble)[] answers = await AskAsync(folder, folder.Sockets().Select(socket => socket.Path)).ConfigureAwait(false);
        foreach (string trouble in answers.Select(answer => answer.Trouble).OfType<string>())
        {
            await errors.WriteLineAsync($"dbt: {trouble}").ConfigureAwait(false);
        }

        return [.. answers.SelectMany(answer => answer.Found).OrderBy(client => client.Domain.Name, StringComparer.Ordinal).ThenBy(client => client.Domain.Id)];
    }

    /// <summary>The guest of a name or an id.</summary>
    /// <exception cref="ControlException">There is none, or several have the name, or it doesn't answer.</exception>
    public static async Task<ControlClient> FindAsync(ControlFolder folder, string domain)
    {
        bool isId = uint.TryParse(domain, NumberStyles.None, CultureInfo.InvariantCulture, out uint id);
        string plain = System.IO.Path.GetFileName(folder.SocketOf(domain));
        plain = plain[..plain.IndexOf(FormattableString.Invariant($".{Environment.ProcessId}."), StringComparison.Ordinal)];
        var sockets = folder.Sockets().Where(socket => (isId && socket.ProcessId == id)
            || System.IO.Path.GetFileName(socket.Path).StartsWith(plain + ".", StringComparison.Ordinal)).ToList();
        (ControlClient[] Found, string? Trouble)[] answers = await AskAsync(folder, sockets.Select(socket => socket.Path)).ConfigureAwait(false);
        ControlClient[] all = [.. answers.SelectMany(answer => answer.Found)];
        ControlClient[] found = [.. all.Where(client => isId && client.Domain.Id == id)];
        found = found.Length > 0 ? found : [.. all.Where(client => client.Domain.Name == domain)];
        foreach (ControlClient client in all.Except(found.Length == 1 ? found : []))
        {
            client.Dispose();
        }

        return found.Length switch
        {
            1 => found[0],
            0 when answers.Select(answer => answer.Trouble).OfType<string>().FirstOrDefault() is { } trouble => throw new ControlException(ControlError.Unavailable, trouble),
            0 when isId => throw new ControlException(ControlError.NotFound, $"Error: Domain '{domain}' does not exist."),
            0 => throw new ControlException(ControlError.NotFound, $"{domain} is an invalid domain identifier"),
            _ when found.Select(client => client.Domain.Id).Distinct().Count() < found.Length => throw new ControlException(ControlError.Invalid,
                $"{found.Length} guests have the id {domain}; use a name: {string.Join(", ", found.Select(client => client.Domain.Name))}"),
            _ => throw new ControlException(ControlError.Invalid,
                $"{found.Length} guests are named {domain}; use an id: {string.Join(", ", found.Select(client => client.Domain.Id))}"),
        };
    }

    /// <summary>Calls it.</summary>
    /// <param name="call">Makes the call, with the domain's id in its request and the deadline given.</param>
    /// <exception cref="ControlException">It was refused, or the guest is gone.</exception>
    public async Task<T> CallAsync<T>(Func<Domains.DomainsClient, string, DateTime, AsyncUnaryCall<T>> call)
    {
        try
        {
            return await call(_client, Id, DateTime.UtcNow + Limit).ResponseAsync.ConfigureAwait(false);
        }
        catch (RpcException exception)
        {
            throw ControlErrors.From(exception, Domain.Name);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _connection.Leave();

    /// <summary>A channel to a socket.</summary>
    internal static GrpcChannel Channel(string path) => GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions
    {
        DisposeHttpClient = true,
        HttpHandler = new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectCallback = async (_, cancellation) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                try
                {
                    await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation).ConfigureAwait(false);
                    return new NetworkStream(socket, ownsSocket: true);
                }
                catch
                {
                    socket.Dispose();
                    throw;
                }
            },
        },
    });

    private static Task<(ControlClient[] Found, string? Trouble)[]> AskAsync(ControlFolder folder, IEnumerable<string> sockets) =>
        Task.WhenAll((File.Exists(folder.DaemonSocket) ? [folder.DaemonSocket, .. sockets] : sockets).Select(ConnectAsync));

    /// <summary>A client for each domain behind a socket; none where nobody listens any more.</summary>
    private static async Task<(ControlClient[] Found, string? Trouble)> ConnectAsync(string path)
    {
        var connection = new Connection(Channel(path));
        try
        {
            ListReply reply = await new Domains.DomainsClient(connection.Channel).ListAsync(new ListRequest(), deadline: DateTime.UtcNow + Limit);
            return ([.. reply.Domains.Select(domain => new ControlClient(connection.Join(), domain))], null);
        }
        catch (RpcException exception)
        {
            string name = System.IO.Path.GetFileNameWithoutExtension(path);
            return ([], exception is { StatusCode: StatusCode.Unavailable, Status.DebugException: not null } ? null : ControlErrors.From(exception, name).Message);
        }
        finally
        {
            connection.Leave();
        }
    }

    /// <summary>A channel that the clients of all domains behind one socket have together.</summary>
    private sealed class Connection(GrpcChannel channel)
    {
        private int _users = 1;

        public GrpcChannel Channel => channel;

        public Connection Join()
        {
            Interlocked.Increment(ref _users);
            return this;
        }

        public void Leave()
        {
            if (Interlocked.Decrement(ref _users) == 0)
            {
                channel.Dispose();
            }
        }
    }
}
