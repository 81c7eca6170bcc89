using System.Globalization;
using Dbt.Devices.Network;
using Dbt.Devices.Store;
using Dbt.Runtime;
using Dbt.Xen;

namespace Dbt.Devices.Served;

/// <summary>A domain's network cards that other domains serve (<see cref="NetworkConfiguration.Server"/>), attached and detached while it runs. Thread-safe.</summary>
internal sealed class ServedNetworks(XenStore store, Domain domain) : IDisposable
{
    private readonly DeviceSet<ServedCard> _cards = new();

    /// <summary>The cards as they are now, in the order in which they were attached.</summary>
    public IReadOnlyList<NetworkStatus> Statuses => _cards.ConvertAll(static card => card.Status);

    /// <summary>Whether one of them has a handle or address.</summary>
    public bool Has(string name) => Find(name) is not null;

    /// <summary>Writes a card's nodes, for the domain that serves it and for the guest.</summary>
    /// <exception cref="HostException">There is no such domain, or there is a card of that handle.</exception>
    public void Attach(NetworkConfiguration card) => _cards.Add(
        other => other.Configuration.Handle == card.Handle, $"there is a network card {card.Handle} already",
        () =>
        {
            var made = new ServedCard(store, domain, ServedDevice.FindServer(store, domain, card.Server!), card);
            made.Ended.ContinueWith(_ => _cards.Remove(made), TaskScheduler.Default);
            return made;
        });

    /// <summary>Asks the domain that serves a card to close it, and removes it when it has.</summary>
    /// <exception cref="HostException">It isn't closed within <paramref name="timeout"/>, and <paramref name="force"/> isn't set.</exception>
    public void Detach(string name, bool force, TimeSpan timeout)
    {
        ServedCard card = Find(name) ?? throw new HostException($"there is no network card {name}");
        _cards.Detach(
            card, force, timeout,
            $"network card {card.Configuration.Handle} is not closed by the guest or by domain {card.Configuration.Server}, which serves it. It is detached when it is; force detaches it now");
    }

    /// <inheritdoc/>
    public void Dispose() => _cards.Dispose();

    private ServedCard? Find(string name) => _cards.ConvertAll(static card => card).Find(card => card.Configuration.IsNamed(name));

    /// <summary>One of them.</summary>
    private sealed class ServedCard(XenStore store, Domain domain, ushort server, NetworkConfiguration card) : IDetachable
    {
        private readonly ServedDevice _device = new(store, domain, $"network card {Text(card.Handle)}", "vif", card.Handle, server, Front(card), Back(card));

        public NetworkConfiguration Configuration => card;

        public NetworkStatus Status => new(
            card, (int)_device.State, _device.ReadNumber(_device.Front, "event-channel") ?? _device.ReadNumber(_device.Front, "event-channel-tx"),
            _device.ReadNumber(_device.Front, "tx-ring-ref"), _device.ReadNumber(_device.Front, "rx-ring-ref"), _device.Back, default)
        {
            BackendId = server,
        };

        public Task Released => _device.Released;

        public Task Ended => _device.Ended;

        public void BeginDetach() => _device.BeginDetach();

        public void Dispose() => _device.Dispose();

        private static (string, string)[] Front(NetworkConfiguration card) =>
        [
            ("handle", Text(card.Handle)),
            ("mac", card.Mac.ToString()),
            ("mtu", Text((uint)card.Mtu)),
        ];

        private static (string, string)[] Back(NetworkConfiguration card) =>
        [
            ("handle", Text(card.Handle)),
            ("mac", card.Mac.ToString()),
            ("bridge", card.Bridge),
            ("mtu", Text((uint)card.Mtu)),
            ("type", "vif"),
            .. card.Rate is { } rate ? [("rate", rate.ToString())] : Array.Empty<(string, string)>(),
        ];

        private static string Text(uint value) => value.ToString(CultureInfo.InvariantCulture);
    }
}
