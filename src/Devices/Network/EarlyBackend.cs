namespace Dbt.Devices.Network;

/// <summary>
/// What a card is plugged into, opened before the guest is there. The host's kernel takes up to a second until an interface that came up, as a TAP device does when it is opened, passes
/// frames in a bridge: opened when the guest goes on, the first ones, and what tells the network where the guest is, would be lost.
/// </summary>
public sealed class EarlyBackend : IDisposable
{
    private readonly NetworkConfiguration _card;
    private INetworkBackend? _backend;

    private EarlyBackend(NetworkConfiguration card)
    {
        _card = card;
        _backend = card.Backend();
    }

    /// <summary>The card: what is open is what it gets first, without what had come before; later a new one.</summary>
    public NetworkConfiguration Card => _card with { Backend = Take };

    /// <summary>Whether a card gains by it. Others could be in use by the guest where it still is.</summary>
    public static bool IsOf(NetworkConfiguration card) => card.Server is null && card.Bridge.StartsWith(NetworkBackends.TapPrefix, StringComparison.Ordinal);

    /// <summary>Opens it.</summary>
    /// <exception cref="Dbt.Runtime.HostException">It can't be.</exception>
    public static EarlyBackend Open(NetworkConfiguration card) => new(card);

    /// <summary>Closes it where no card has taken it.</summary>
    public void Dispose() => Interlocked.Exchange(ref _backend, null)?.Dispose();

    private INetworkBackend Take()
    {
        INetworkBackend? open = Interlocked.Exchange(ref _backend, null);
        open?.Discard();
        return open ?? _card.Backend();
    }
}
