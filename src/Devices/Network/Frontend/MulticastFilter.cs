namespace Dbt.Devices.Network.Frontend;

/// <summary>The multicast addresses that a guest listens to; applied only while it asks for that.</summary>
internal sealed class MulticastFilter
{
    /// <summary>Most addresses that a guest may add.</summary>
    public const int Capacity = 64;

    private readonly Lock _lock = new();
    private volatile MacAddress[] _addresses = [];
    private volatile bool _enabled;

    /// <summary>Whether the guest asked for the filter (<c>request-multicast-control</c>).</summary>
    public bool Enabled
    {
        get => _enabled;
        set => _enabled = value;
    }

    /// <summary>The addresses now.</summary>
    public IReadOnlyList<MacAddress> Addresses => _addresses;

    /// <summary>Whether a frame to an address goes to the guest. Broadcasts always do.</summary>
    public bool Passes(MacAddress destination) =>
        !_enabled || !destination.IsMulticast || destination == MacAddress.Broadcast || Array.IndexOf(_addresses, destination) >= 0;

    /// <summary>Adds an address.</summary>
    /// <returns>False where it is none for several receivers, or the list is full.</returns>
    public bool TryAdd(MacAddress address)
    {
        lock (_lock)
        {
            MacAddress[] old = _addresses;
            if (!address.IsMulticast || (old.Length >= Capacity && Array.IndexOf(old, address) < 0))
            {
                return false;
            }

            if (Array.IndexOf(old, address) < 0)
            {
                _addresses = [.. old, address];
            }

            return true;
        }
    }

    /// <summary>Removes an address, if it is there.</summary>
    public void Remove(MacAddress address)
    {
        lock (_lock)
        {
            _addresses = Array.FindAll(_addresses, other => other != address);
        }
    }

    /// <summary>Forgets everything: another frontend connects.</summary>
    public void Clear()
    {
        lock (_lock)
        {
            _addresses = [];
            _enabled = false;
        }
    }
}
