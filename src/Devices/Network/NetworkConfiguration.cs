using System.Globalization;

namespace Dbt.Devices.Network;

/// <summary>How much a guest may send: at most <paramref name="Bytes"/> in each <paramref name="Interval"/> (xl's <c>rate=10Mb/s@50ms</c>).</summary>
/// <param name="Bytes">Bytes per interval, above zero.</param>
/// <param name="Interval">Length of an interval, above zero.</param>
public readonly record struct NetworkRate(ulong Bytes, TimeSpan Interval)
{
    /// <summary>As xl writes it for a back end: bytes, and the interval's microseconds.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Bytes},{(long)Interval.TotalMicroseconds}");
}

/// <summary>One virtual network card of a guest.</summary>
/// <param name="Handle">Its number, 0 for the first: <c>device/vif/N</c> in xenstore.</param>
/// <param name="Mac">The guest's address; see <see cref="MacAddress.FromUuid"/> for one where the user gives none.</param>
/// <param name="Backend">
/// Opens what the card is plugged into; called once, when the card is attached, and disposed with it. It may throw
/// <see cref="Dbt.Runtime.HostException"/>. Not called where another domain serves the card.
/// </param>
public sealed record NetworkConfiguration(uint Handle, MacAddress Mac, Func<INetworkBackend> Backend)
{
    /// <summary>The smallest and largest <see cref="Mtu"/>.</summary>
    public const int MinMtu = 68, MaxMtu = 65_521;

    /// <summary>Name or id of the domain that serves the card (<c>backend=</c>); null for this process.</summary>
    public string? Server { get; init; }

    /// <summary>Whether the card's handle or address is written so.</summary>
    public bool IsNamed(string name) => (MacAddress.TryParse(name, out MacAddress mac) && Mac == mac)
        || (uint.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out uint handle) && Handle == handle);

    /// <summary>Largest IP packet, told to the guest: <see cref="MinMtu"/> to <see cref="MaxMtu"/> bytes.</summary>
    public int Mtu { get; init; } = 1500;

    /// <summary>Limit of what the guest sends; null for none.</summary>
    public NetworkRate? Rate { get; init; }

    /// <summary>
    /// All of it as the user would write it (an element of vif=), address and number included, from which it is made again where the guest goes on
    /// elsewhere; empty where nobody can.
    /// </summary>
    public string Specification { get; init; } = "";

    /// <summary>What the user said the card is plugged into (<c>bridge=</c>), for xenstore and messages.</summary>
    public string Bridge { get; init; } = "";
}
