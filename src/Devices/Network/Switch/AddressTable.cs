namespace Dbt.Devices.Network.Switch;

/// <summary>
/// Which port an address was last seen at. Of bounded size: where it is full of fresh entries, a new address is not learned, and what is
/// sent to it goes to all ports. Thread-safe.
/// </summary>
/// <typeparam name="TPort">What names a port.</typeparam>
internal sealed class AddressTable<TPort>(Func<long>? clock = null)
    where TPort : IEquatable<TPort>
{
    /// <summary>Most addresses.</summary>
    public const int Capacity = 1024;

    /// <summary>Milliseconds for which an address is remembered that isn't seen again; 300 s, the default of IEEE 802.1Q.</summary>
    public const long Lifetime = 300_000;

    private readonly Func<long> _clock = clock ?? (static () => Environment.TickCount64);
    private readonly Lock _lock = new();
    private readonly Dictionary<MacAddress, (TPort Port, long Seen)> _entries = [];

    /// <summary>Remembers where a frame came from.</summary>
    public void Learn(MacAddress source, TPort port)
    {
        if (source.IsMulticast)
        {
            return;
        }

        long now = _clock();
        lock (_lock)
        {
            if (_entries.Count >= Capacity && !_entries.ContainsKey(source))
            {
                DropOld(now);
                if (_entries.Count >= Capacity)
                {
                    return;
                }
            }

            _entries[source] = (port, now);
        }
    }

    /// <summary>Looks up where an address is.</summary>
    public bool TryFind(MacAddress destination, out TPort? port)
    {
        lock (_lock)
        {
            bool found = _entries.TryGetValue(destination, out (TPort Port, long Seen) entry) && _clock() - entry.Seen < Lifetime;
            port = found ? entry.Port : default;
            return found;
        }
    }

    /// <summary>Forgets all addresses of a port that goes.</summary>
    public void Forget(TPort port)
    {
        lock (_lock)
        {
            foreach ((MacAddress address, (TPort Port, long) entry) in _entries)
            {
                if (entry.Port.Equals(port))
                {
                    _entries.Remove(address);
                }
            }
        }
    }

    private void DropOld(long now)
    {
        foreach ((MacAddress address, (_, long seen)) in _entries)
        {
            if (now - seen >= Lifetime)
            {
                _entries.Remove(address);
            }
        }
    }
}
