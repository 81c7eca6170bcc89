using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Dbt.Devices.Block;
using Dbt.Devices.Store;
using Dbt.Runtime;

namespace Dbt.Devices.Served;

/// <summary>
/// A device of a domain whose back end is in another domain, a driver domain: what the toolstack does of it. It writes the nodes of both ends, asks for the device to be
/// closed, and takes it away; rings, grants and events are between the two domains.
/// </summary>
internal sealed class ServedDevice : IDetachable
{
    private readonly XenStore _store;
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly IDisposable _watch;

    /// <summary>Writes the nodes; the driver domain and the guest find the device then.</summary>
    /// <param name="store">Their store.</param>
    /// <param name="kind"><c>vbd</c> or <c>vif</c>.</param>
    /// <param name="number">Of the device, within its kind and domain.</param>
    /// <param name="domain">Whose device it is.</param>
    /// <param name="server">The driver domain.</param>
    /// <param name="front">What the guest's end has beside what all have.</param>
    /// <param name="back">The same of the driver domain's end.</param>
    public ServedDevice(
        XenStore store, string kind, uint number, ushort domain, ushort server, IReadOnlyList<(string Node, string Value)> front, IReadOnlyList<(string Node, string Value)> back)
    {
        _store = store;
        Server = server;
        Front = $"{StorePath.Home(domain)}/device/{kind}/{Text(number)}";
        Back = $"{StorePath.Home(server)}/backend/{kind}/{Text(domain)}/{Text(number)}";
        StoreError error = store.Transact(batch =>
            Publish(batch, Back, server, domain, [("frontend", Front), ("frontend-id", Text(domain)), ("online", "1"), .. back]) is var refused and not StoreError.None ? refused
                : Publish(batch, Front, domain, server, [("backend", Back), ("backend-id", Text(server)), .. front]));
        if (error != StoreError.None)
        {
            throw new HostException($"xenstore refuses the nodes of {kind} {Text(number)}: {error}");
        }

        _watch = store.Watch(Back, _ => Look());
    }

    /// <summary>The driver domain.</summary>
    public ushort Server { get; }

    /// <summary>The guest's folder.</summary>
    public string Front { get; }

    /// <summary>The driver domain's folder.</summary>
    public string Back { get; }

    /// <summary>The back end's state, by its own word; closed where the driver domain is gone.</summary>
    public XenbusState State => _store.Exists(Back) ? BlockConnection.ReadState(_store, Back) : XenbusState.Closed;

    /// <inheritdoc/>
    public Task Released => _released.Task;

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
        // A driver domain takes nodes that vanish for an end without a word.
        _watch.Dispose();
        _store.Remove(Back);
        _store.Remove(Front);
        _released.TrySetResult();
    }

    private static string Text(uint value) => value.ToString(CultureInfo.InvariantCulture);

    // The state comes last: with it the device is there.
    private static StoreError Publish(StoreBatch batch, string folder, ushort owner, ushort reader, IReadOnlyList<(string Node, string Value)> nodes)
    {
        ImmutableArray<StorePermission> permissions = [new(owner, StoreAccess.None), new(reader, StoreAccess.Read)];
        StoreError error = batch.Write(folder, []);
        error = error == StoreError.None ? batch.SetPermissions(folder, permissions, above: false, below: false) : error;
        foreach ((string node, string value) in nodes.Append(("state", Text((uint)XenbusState.Initialising))))
        {
            error = error == StoreError.None ? batch.Write($"{folder}/{node}", Encoding.UTF8.GetBytes(value)) : error;
        }

        return error;
    }

    private void Look()
    {
        if (State == XenbusState.Closed)
        {
            _released.TrySetResult();
        }
    }
}
