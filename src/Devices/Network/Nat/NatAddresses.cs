namespace Dbt.Devices.Network.Nat;

/// <summary>
/// The guest's network, as users of QEMU know it: 10.0.2.0/24, gateway 10.0.2.2 (which is also the host's loopback), name server 10.0.2.3,
/// guest 10.0.2.15.
/// </summary>
internal sealed class NatAddresses(UserNetworkConfiguration configuration)
{
    /// <summary>10.0.2.0.</summary>
    public const uint Network = 0x0A00_0200;

    /// <summary>255.255.255.0.</summary>
    public const uint Mask = 0xFFFF_FF00;

    /// <summary>The address of our card.</summary>
    public static readonly MacAddress GatewayMac = new(0x5255_0A00_0202);

    /// <summary>The router, and the host.</summary>
    public static readonly IpAddress Gateway = IpAddress.V4(Network + 2);

    /// <summary>The name server.</summary>
    public static readonly IpAddress NameServer = IpAddress.V4(Network + 3);

    /// <summary>255.255.255.255.</summary>
    public static readonly IpAddress Broadcast = IpAddress.V4(uint.MaxValue);

    /// <summary>The guest's address by DHCP, and the target of forwards.</summary>
    public IpAddress Guest { get; } = IpAddress.From(configuration.GuestAddress);

    /// <summary>The guest's card.</summary>
    public MacAddress GuestMac { get; } = configuration.GuestMac;

    /// <summary>Whether an address may be the guest's: any of its network but ours, as it may be set by hand.</summary>
    public bool IsGuest(IpAddress address) =>
        address.IsV4 && (address.Bits & Mask) == Network && address != Gateway && address != NameServer && (address.Bits & ~Mask) is not (0 or 255);

    /// <summary>Whether many listen to an address.</summary>
    public static bool IsGroup(IpAddress address) =>
        address.IsV4 ? address.Bits is uint.MaxValue or (Network | ~Mask) || address.Bits >> 28 == 0xE : address.High >> 56 == 0xFF;

    /// <summary>Whether an address is one of ours.</summary>
    public static bool IsOurs(IpAddress address) => address == Gateway || address == NameServer;

    /// <summary>
    /// Whether packets to an address may leave: neither loopback nor "this network", both of which the host would take for itself, nor a group,
    /// nor what is reserved, nor another address of the guest's network.
    /// </summary>
    public static bool IsOutside(IpAddress address)
    {
        uint bits = address.Bits, first = bits >> 24;
        return address.IsV4
            ? first is not (0 or 127) && first < 224 && (bits & Mask) != Network
            : address.High >> 61 == 1 || address.High >> 57 == 0x7E; // global unicast and unique local
    }

    /// <summary>The name server as an end point of the guest's.</summary>
    public static bool IsNameServer(IpAddress address, ushort port) => address == NameServer && port == DnsPort;

    /// <summary>The port of DNS.</summary>
    public const ushort DnsPort = 53;
}
