using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Dbt.Devices.Block;
using Dbt.Devices.Store;
using Dbt.Runtime;
using Dbt.Xen;

namespace Dbt.Devices.Served;

/// <summary>
/// A device of a domain whose back end is in another domain, a driver domain: what the toolstack does of it. It writes the nodes of both ends, asks for the device to be
/// closed, and takes it away; rings, grants and events are between the two domains.
/// </summary>
/// <remarks>
/// Where the driver domain ends, its end of the device can't say so any more, and the guest would wait for ever: the toolstack says in its place that it is closed, and
/// takes the device away when the guest has closed it as well.
/// </remarks>
internal sealed class ServedDevice : IDetachable
{
    private readonly XenStore _store;
    private readonly Domain _domain;
    private readonly string _what;
    private readonly ushort _server;
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly IDisposable[] _watches;
    private int _lost;
    private bool _disposed;

    /// <summary>Writes the nodes; the driver domain and the guest find the device then.</summary>
    /// <param name="store">Their store.</param>
    /// <param name="domain">Whose device it is.</param>
    /// <param name="what">What it is called in messages.</param>
    /// <param name="kind"><c>vbd</c> or <c>vif</c>.</param>
    /// <param name="number">Of the device, within its kind and domain.</param>
    /// <param name="server">The driver domain.</param>
    /// <param name="front">What the guest's end has beside what all have.</param>
    /// <param name="back">The same of the driver domain's end.</param>
    public ServedDevice(
        XenStore store, Domain domain, string what, string kind, uint number, ushort server, IReadOnlyList<(string Node, string Value)> front, IReadOnlyList<(string Node, string Value)> back)
    {
        _store = store;
        _domain = domain;
        _what = what;
        _server = server;
        Front = $"{StorePath.Home(domain.Id)}/device/{kind}/{Text(number)}";
        Back = $"{StorePath.Home(server)}/backend/{kind}/{Text(domain.Id)}/{Text(number)}";
        StoreError error = store.Transact(batch =>
            Publish(batch, Back, server, domain.Id, XenbusState.Initialising, [("frontend", Front), ("frontend-id", Text(domain.Id)), ("online", "1"), .. back]) is var refused and not StoreError.None ? refused
                : Publish(batch, Front, domain.Id, server, XenbusState.Initialising, [("backend", Back), ("backend-id", Text(server)), .. front]));
        if (error != StoreError.None)
        {
            throw new HostException($"xenstore refuses the nodes of {what}: {error}");
        }

        _watches = [store.Watch(Back, _ => Look()), store.Watch(Front, _ => Look()), store.Watch("@releaseDomain", _ => Look())];
    }

    /// <summary>Finds the domain that a configuration's <c>backend=</c> means: by id or name, an id first.</summary>
    /// <exception cref="HostException">There is none, or it is the guest itself.</exception>
    public static ushort FindServer(XenStore store, Domain domain, string text)
    {
        // What is left of a domain that has ended has no id.
        IEnumerable<string> ids = (store.List("/local/domain") ?? []).Where(id => store.Exists($"/local/domain/{id}/domid"));
        string? found = ids.FirstOrDefault(id => id == text) ?? ids.FirstOrDefault(id => store.Read($"/local/domain/{id}/name") == text);
        return !ushort.TryParse(found, NumberStyles.None, CultureInfo.InvariantCulture, out ushort server) || server == 0 ? throw new HostException($"backend={text}: there is no such domain here")
            : server == domain.Id ? throw new HostException($"backend={text}: a guest can't serve its own devices")
            : server;
    }

    /// <summary>The guest's folder.</summary>
    public string Front { get; }

    /// <summary>The driver domain's folder.</summary>
    public string Back { get; }

    /// <summary>The back end's state, by its own word; closed where the driver domain is gone.</summary>
    public XenbusState State => _store.Exists(Back) ? BlockConnection.ReadState(_store, Back) : XenbusState.Closed;

    /// <inheritdoc/>
    public Task Released => _released.Task;

    /// <summary>Completes when the driver domain has ended and the guest has let go of the device.</summary>
    public Task Ended => _ended.Task;

    /// <summary>A number that one of the ends wrote; null where there is none. Its word, not checked.</summary>
    public uint? ReadNumber(string folder, string node) => BlockConnection.ReadNumber(_store, $"{folder}/{node}");

    /// <inheritdoc/>
    public void BeginDetach()
    {
        // Not where the driver domain is gone: its id may be another's soon.
        _store.Transact(batch => batch.Read(Back, out _) is var missing and not StoreError.None ? missing
            : batch.Write(Back + "/online", "0"u8) is var refused and not StoreError.None ? refused
            : State == XenbusState.Closed ? StoreError.None : batch.Write(Back + "/state", Encoding.ASCII.GetBytes(Text((uint)XenbusState.Closing))));
        Look();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Array.ForEach(_watches, static watch => watch.Dispose());
        _store.Transact(batch =>
        {
            // A driver domain takes nodes that vanish for an end without a word. Of one that has ended nothing is to be left.
            _disposed = true;
            _ = batch.Remove(Back, tidy: _lost != 0);
            _ = batch.Remove(Front, tidy: false);
            return StoreError.None;
        });
        _released.TrySetResult();
    }

    private static string Text(uint value) => value.ToString(CultureInfo.InvariantCulture);

    // The state comes last: with it the device is there.
    private static StoreError Publish(StoreBatch batch, string folder, ushort owner, ushort reader, XenbusState state, IReadOnlyList<(string Node, string Value)> nodes)
    {
        ImmutableArray<StorePermission> permissions = [new(owner, StoreAccess.None), new(reader, StoreAccess.Read)];
        StoreError error = batch.Write(folder, []);
        error = error == StoreError.None ? batch.SetPermissions(folder, permissions, above: false, below: false) : error;
        foreach ((string node, string value) in nodes.Append(("state", Text((uint)state))))
        {
            error = error == StoreError.None ? batch.Write($"{folder}/{node}", Encoding.UTF8.GetBytes(value)) : error;
        }

        return error;
    }

    private void Look()
    {
        if (_domain.Hypervisor.Find(_server) is null or { IsStopped: true })
        {
            CloseInPlaceOfServer();
        }

        if (State == XenbusState.Closed)
        {
            _released.TrySetResult();
        }
    }

    private void CloseInPlaceOfServer()
    {
        if (Interlocked.Exchange(ref _lost, 1) == 0)
        {
            _domain.Log.Add($"domain {Text(_server)}, which served {_what}, has ended: {_what} is closed, and goes when the guest has let go of it");
        }

        // Its nodes may go with it more than once: first what it owns, then its home.
        byte[] closed = Encoding.ASCII.GetBytes(Text((uint)XenbusState.Closed));
        _store.Transact(batch => _disposed || (batch.Read($"{Back}/state", out byte[] state) == StoreError.None && state.AsSpan().SequenceEqual(closed)) ? StoreError.None
            : Publish(batch, Back, 0, _domain.Id, XenbusState.Closed, [("frontend", Front), ("frontend-id", Text(_domain.Id)), ("online", "0")]));
        if (!_store.Exists(Front) || BlockConnection.ReadState(_store, Front) == XenbusState.Closed)
        {
            _ended.TrySetResult();
        }
    }
}
