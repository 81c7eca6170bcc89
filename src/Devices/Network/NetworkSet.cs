using Dbt.Devices.Network.Frontend;
using Dbt.Devices.Store;
using Dbt.Runtime;

namespace Dbt.Devices.Network;

/// <summary>A domain's network cards, attached and detached while it runs. Thread-safe.</summary>
internal sealed class NetworkSet(XenStore store, IFrontend frontend) : IDisposable
{
    /// <summary>How long a guest has for closing a card, as with xl.</summary>
    public static readonly TimeSpan DetachTimeout = TimeSpan.FromSeconds(10);

    // As QEMU does by default.
    private static readonly int[] s_announceAgainAfter = [50, 150, 250, 350];

    private readonly DeviceSet<VifBackend> _cards = new();

    /// <summary>The cards as they are now, in the order in which they were attached.</summary>
    public IReadOnlyList<NetworkStatus> Statuses => _cards.ConvertAll(static card => card.Status);

    /// <summary>Opens what a card is plugged into and offers the card to the guest.</summary>
    /// <exception cref="HostException">It can't be opened, or there is a card of that handle.</exception>
    public void Attach(NetworkConfiguration card) => _cards.Add(
        other => other.Configuration.Handle == card.Handle, $"there is a network card {card.Handle} already",
        () => new VifBackend(store, frontend, card, card.Backend()));

    /// <summary>Asks the guest to close a card and removes it when it has; see <see cref="DeviceHost.DetachNetwork"/>.</summary>
    /// <exception cref="HostException">There is no such card, or the guest doesn't close it and <paramref name="force"/> isn't set.</exception>
    public void Detach(string name, bool force, TimeSpan timeout)
    {
        VifBackend card = Find(name);
        _cards.Detach(
            card, force, timeout,
            $"the guest doesn't let go of network card {card.Configuration.Handle}. It is detached when the guest closes it; force detaches it now");
    }

    /// <summary>Does something with each card; none is disposed of meanwhile.</summary>
    public void ForEach(Action<VifBackend> action) => _cards.ForEach(action);

    /// <summary>Opens what a card that the guest has already is plugged into; it is held until it is released.</summary>
    /// <exception cref="HostException">It can't be opened.</exception>
    public void Restore(NetworkConfiguration card, SavedVifState saved) => _cards.Add(
        other => other.Configuration.Handle == card.Handle, $"there is a network card {card.Handle} already",
        () => new VifBackend(store, frontend, card, card.Backend(), saved));

    /// <summary>Tells the network where the guest is now, and again a few times within a second, as such frames get lost; see <see cref="VifBackend.Announce"/>.</summary>
    public void Announce()
    {
        _cards.ForEach(static card => card.Announce());
        _ = AnnounceAgainAsync();
    }

    /// <inheritdoc/>
    public void Dispose() => _cards.Dispose();

    private async Task AnnounceAgainAsync()
    {
        foreach (int milliseconds in s_announceAgainAfter)
        {
            await Task.Delay(milliseconds).ConfigureAwait(false);
            _cards.ForEach(static card => card.Announce());
        }
    }

    private VifBackend Find(string name)
    {
        List<VifBackend> cards = _cards.ConvertAll(static card => card);
        return cards.Find(card => card.Configuration.IsNamed(name))
            ?? throw new HostException(cards.Count == 0 ? $"there is no network card {name}; the guest has none"
                : $"there is no network card {name}; the guest has {string.Join(", ", cards.Select(static card => $"{card.Configuration.Handle} ({card.Configuration.Mac})"))}");
    }
}
