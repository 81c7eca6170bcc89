using System.Globalization;
using Dbt.Devices.Network.Frontend;
using Dbt.Devices.Store;
using Dbt.Runtime;

namespace Dbt.Devices.Network;

/// <summary>A domain's network cards, attached and detached while it runs. Thread-safe.</summary>
internal sealed class NetworkSet(XenStore store, IFrontend frontend) : IDisposable
{
    /// <summary>How long a guest has for closing a card, as with xl.</summary>
    public static readonly TimeSpan DetachTimeout = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private readonly List<VifBackend> _cards = [];
    private bool _disposed;

    /// <summary>The cards as they are now, in the order in which they were attached.</summary>
    public IReadOnlyList<NetworkStatus> Statuses
    {
        get
        {
            lock (_lock)
            {
                return _cards.ConvertAll(static card => card.Status);
            }
        }
    }

    /// <summary>Opens what a card is plugged into and offers the card to the guest.</summary>
    /// <exception cref="HostException">It can't be opened, or there is a card of that handle.</exception>
    public void Attach(NetworkConfiguration card)
    {
        lock (_lock)
        {
            if (_disposed)
            {
                throw new HostException("the guest has ended");
            }

            if (_cards.Exists(other => other.Configuration.Handle == card.Handle))
            {
                throw new HostException($"there is a network card {card.Handle} already");
            }

            _cards.Add(new VifBackend(store, frontend, card, card.Backend()));
        }
    }

    /// <summary>Asks the guest to close a card and removes it when it has; see <see cref="DeviceHost.DetachNetwork"/>.</summary>
    /// <exception cref="HostException">There is no such card, or the guest doesn't close it and <paramref name="force"/> isn't set.</exception>
    public void Detach(string name, bool force, TimeSpan timeout)
    {
        VifBackend card = Find(name);
        card.BeginDetach();
        if (!card.Released.Wait(timeout) && !force)
        {
            // It goes as soon as the guest lets go of it.
            card.Released.ContinueWith(_ => Remove(card), TaskScheduler.Default);
            throw new HostException(
                $"the guest doesn't let go of network card {card.Configuration.Handle}. It is detached when the guest closes it; force detaches it now");
        }

        Remove(card);
    }

    /// <summary>Tells the network where the guest is now; see <see cref="VifBackend.Announce"/>.</summary>
    public void Announce()
    {
        lock (_lock)
        {
            _cards.ForEach(static card => card.Announce());
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        VifBackend[] cards;
        lock (_lock)
        {
            _disposed = true;
            cards = [.. _cards];
            _cards.Clear();
        }

        foreach (VifBackend card in cards)
        {
            card.Dispose();
        }
    }

    private VifBackend Find(string name)
    {
        bool isMac = MacAddress.TryParse(name, out MacAddress mac);
        bool isHandle = uint.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out uint handle);
        lock (_lock)
        {
            VifBackend? found = _cards.Find(card => (isMac && card.Configuration.Mac == mac) || (isHandle && card.Configuration.Handle == handle));
            return found ?? throw new HostException(_cards.Count == 0 ? $"there is no network card {name}; the guest has none"
                : $"there is no network card {name}; the guest has {string.Join(", ", _cards.Select(static card => $"{card.Configuration.Handle} ({card.Configuration.Mac})"))}");
        }
    }

    private void Remove(VifBackend card)
    {
        lock (_lock)
        {
            if (!_cards.Remove(card))
            {
                return; // somebody else removed it
            }
        }

        card.Dispose();
    }
}
