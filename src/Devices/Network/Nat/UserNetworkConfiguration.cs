using System.Net;

namespace Dbt.Devices.Network.Nat;

/// <summary>What is forwarded.</summary>
public enum ForwardProtocol
{
    /// <summary>Connections.</summary>
    Tcp,

    /// <summary>Datagrams.</summary>
    Udp,
}

/// <summary>A port of the host that leads into the guest.</summary>
/// <param name="Protocol">TCP or UDP.</param>
/// <param name="HostAddress">Where the host listens; loopback unless others are meant to reach the guest.</param>
/// <param name="HostPort">Port there; 0 lets the host choose, which is for tests.</param>
/// <param name="GuestPort">Port in the guest.</param>
public sealed record PortForward(ForwardProtocol Protocol, IPAddress HostAddress, int HostPort, int GuestPort)
{
    /// <summary>As it is written in a configuration.</summary>
    public override string ToString() => $"{(Protocol == ForwardProtocol.Tcp ? "tcp" : "udp")}:{new IPEndPoint(HostAddress, HostPort)}:{GuestPort}";
}

/// <summary>Settings of a <see cref="UserNetwork"/>.</summary>
public sealed record UserNetworkConfiguration
{
    /// <summary>The guest's card.</summary>
    public required MacAddress GuestMac { get; init; }

    /// <summary>The guest's address by DHCP, and the target of forwards: one of 10.0.2.4 to 10.0.2.254.</summary>
    public IPAddress GuestAddress { get; init; } = new([10, 0, 2, 15]);

    /// <summary>Whether an address may be <see cref="GuestAddress"/>.</summary>
    public static bool IsGuestAddress(IPAddress address) => IpAddress.From(address) is { IsV4: true, Bits: > NatAddresses.Network + 3 and < NatAddresses.Network + 255 };

    /// <summary>Largest IP packet, bytes: 576 to 65,535.</summary>
    public int Mtu { get; init; } = 1500;

    /// <summary>The guest's name by DHCP; null tells none.</summary>
    public string? HostName { get; init; }

    /// <summary>Whether the guest may talk to nobody, except where <see cref="Forwards"/> lead to it.</summary>
    public bool Restrict { get; init; }

    /// <summary>Whether 10.0.2.2 is the host's loopback for connections and datagrams.</summary>
    public bool Loopback { get; init; } = true;

    /// <summary>Ports of the host that lead into the guest.</summary>
    public IReadOnlyList<PortForward> Forwards { get; init; } = [];

    /// <summary>Names the host's resolvers (resolv.conf(5)).</summary>
    public string ResolverFile { get; init; } = "/etc/resolv.conf";
}
