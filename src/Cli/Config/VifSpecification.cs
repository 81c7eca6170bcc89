using System.Globalization;
using System.Net;
using Dbt.Devices.Network;
using Dbt.Devices.Network.Nat;

namespace Dbt.Cli.Config;

/// <summary>
/// One element of vif= (Xen's xl-network-configuration): key=value, separated by commas; an empty string is a card with all defaults.
/// bridge= says what the card is plugged into: <c>user</c> (the default), <c>tap:NAME</c>, or the name of a switch. forward=, loopback= and
/// restrict= are ours, for bridge=user.
/// </summary>
internal sealed class VifSpecification
{
    private static readonly string[] WithoutEffect = ["script", "gatewaydev", "accel", "model", "trusted", "vlan"];

    private readonly ConfigPosition _position;
    private readonly Action<string> _warn;
    private readonly Dictionary<string, string> _settings = new(StringComparer.Ordinal);
    private readonly List<PortForward> _forwards = [];

    private VifSpecification(ConfigPosition position, Action<string> warn)
    {
        _position = position;
        _warn = warn;
    }

    /// <summary>Parses all elements.</summary>
    /// <param name="list">The value of vif=.</param>
    /// <param name="guest">The guest's name, which it is told by DHCP.</param>
    /// <param name="uuid">The guest's identity, which its cards' addresses come from; null for random ones.</param>
    /// <param name="warn">Takes what has no effect.</param>
    /// <exception cref="ConfigException">One doesn't name a card that can be had here.</exception>
    public static IReadOnlyList<NetworkConfiguration> Parse(ConfigValue list, string guest, Guid? uuid, Action<string> warn)
    {
        if (list is not ConfigList elements)
        {
            throw new ConfigException(list.Position, "vif must be a list: vif = [ 'bridge=user' ]");
        }

        var cards = new List<NetworkConfiguration>();
        foreach (ConfigValue item in elements.Items)
        {
            ConfigString element = item as ConfigString ?? throw new ConfigException(item.Position, "vif: each element must be a string");
            var vif = new VifSpecification(element.Position, warn);
            vif.Split(element.Text);
            NetworkConfiguration card = vif.Finish((uint)cards.Count, guest, uuid);
            card = card with { Specification = Complete(element.Text, card.Handle, card.Mac) };
            if (cards.Exists(other => other.Handle == card.Handle))
            {
                throw vif.Error($"devid={card.Handle} is another card's");
            }

            if (cards.Exists(other => other.Mac == card.Mac))
            {
                throw vif.Error($"mac={card.Mac} is another card's");
            }

            cards.Add(card);
        }

        return cards;
    }

    /// <summary>A card of one element, which names its number and address itself: see <see cref="NetworkConfiguration.Specification"/>.</summary>
    /// <exception cref="Runtime.HostException">It doesn't name a card that can be had here.</exception>
    public static NetworkConfiguration ParseOne(string specification, string guest)
    {
        var position = new ConfigPosition("saved guest", 1, 1);
        try
        {
            return Parse(new ConfigList(position, [new ConfigString(position, specification)]), guest, uuid: null, static _ => { })[0];
        }
        catch (ConfigException exception)
        {
            throw new Runtime.HostException(exception.Message, exception);
        }
    }

    // With what it came to where it was left open.
    private static string Complete(string text, uint handle, MacAddress mac)
    {
        string rest = string.Join(',', text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Where(static part => !part.StartsWith("mac", StringComparison.Ordinal) && !part.StartsWith("devid", StringComparison.Ordinal)));
        return string.Create(CultureInfo.InvariantCulture, $"devid={handle},mac={mac}{(rest.Length == 0 ? "" : ",")}{rest}");
    }

    private void Split(string text)
    {
        foreach (string part in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = part.IndexOf('=', StringComparison.Ordinal);
            string key = equals < 0 ? part : part[..equals].TrimEnd(), value = equals < 0 ? "" : part[(equals + 1)..].TrimStart();
            if (equals < 0)
            {
                throw Error($"'{part}' is not key=value");
            }

            if (key == "forward")
            {
                // May be repeated, and each may hold several.
                _forwards.AddRange(value.Split('+', StringSplitOptions.TrimEntries).Select(ParseForward));
                continue;
            }

            if (!_settings.TryAdd(key, value))
            {
                throw Error($"{key} is given twice");
            }
        }
    }

    private NetworkConfiguration Finish(uint index, string guest, Guid? uuid)
    {
        uint handle = (uint)(Number("devid", 0, 0xFFFF) ?? (int)index);
        MacAddress mac = Mac() ?? (uuid is Guid identity ? MacAddress.FromUuid(identity, handle) : MacAddress.Random());
        string? server = Take("backend") is string backend && backend is not ("0" or "Domain-0") ? backend : null;
        string bridge = server is null ? Bridge() : Take("bridge") ?? "";
        bool user = bridge == NetworkBackends.User && server is null;
        int mtu = Number("mtu", user ? 576 : NetworkConfiguration.MinMtu, NetworkConfiguration.MaxMtu) ?? 1500;
        NetworkRate? rate = Take("rate") is string text ? ParseRate(text) : null;
        if (Take("type") is string type && type is not ("vif" or ""))
        {
            Warn($"type={type}", "cards are paravirtual here");
        }

        Func<INetworkBackend> open = server is not null ? Served(server) : user ? UserNetwork(mac, mtu, guest) : Other(bridge);
        foreach (string key in _settings.Keys)
        {
            if (!WithoutEffect.Contains(key))
            {
                throw Error($"unknown setting {key}");
            }

            Warn(key, null);
        }

        return new NetworkConfiguration(handle, mac, open) { Mtu = mtu, Rate = rate, Bridge = bridge, Server = server };
    }

    private Func<INetworkBackend> UserNetwork(MacAddress mac, int mtu, string guest)
    {
        bool restrict = Flag("restrict") ?? false, loopback = Flag("loopback") ?? true;
        var configuration = new UserNetworkConfiguration
        {
            GuestMac = mac,
            Mtu = mtu,
            HostName = guest,
            Restrict = restrict,
            Loopback = loopback,
            Forwards = _forwards,
        };
        if (Take("ip") is string ip)
        {
            bool valid = IPAddress.TryParse(ip, out IPAddress? address) && UserNetworkConfiguration.IsGuestAddress(address);
            configuration = valid ? configuration with { GuestAddress = address! }
                : throw Error($"ip={ip} is not one of 10.0.2.4 to 10.0.2.254, the addresses of a guest behind bridge=user");
        }

        return () => new UserNetwork(configuration);
    }

    // The domain that serves it knows what the bridge is.
    private Func<INetworkBackend> Served(string server)
    {
        RefuseUserSettings($"backend={server}");
        return () => throw new InvalidOperationException("the card's back end is in another domain");
    }

    private void RefuseUserSettings(string instead)
    {
        foreach (string key in (string[])["restrict", "loopback"])
        {
            if (_settings.ContainsKey(key))
            {
                throw Error($"{key} is for bridge=user, not for {instead}");
            }
        }

        if (_forwards.Count > 0)
        {
            throw Error($"forward is for bridge=user, not for {instead}");
        }

        if (Take("ip") is not null)
        {
            Warn("ip", $"the guest chooses its address on {instead}");
        }
    }

    private Func<INetworkBackend> Other(string bridge)
    {
        RefuseUserSettings($"bridge={bridge}");
        return NetworkBackends.Find(bridge) ?? throw Error($"bridge={bridge} is neither user, nor tap:NAME, nor the name of a switch");
    }

    // As xl has it, vifname is the name of the host's device: here that exists for a TAP only.
    private string Bridge()
    {
        string bridge = Take("bridge") ?? NetworkBackends.User, tap = NetworkBackends.TapPrefix.TrimEnd(':');
        string? name = Take("vifname");
        if (bridge == tap)
        {
            return NetworkBackends.TapPrefix + (name ?? throw Error("bridge=tap needs the device's name: bridge=tap:NAME"));
        }

        if (name is not null)
        {
            Warn("vifname", "it names a TAP device, with bridge=tap");
        }

        return bridge.Length > 0 ? bridge : NetworkBackends.User;
    }

    private MacAddress? Mac()
    {
        if (Take("mac") is not string text)
        {
            return null;
        }

        return !MacAddress.TryParse(text, out MacAddress mac) || mac.Value == 0 ? throw Error($"mac={text} is not an Ethernet address, such as 00:16:3e:12:34:56")
            : mac.IsMulticast ? throw Error($"mac={text} is a group's address; a card's has an even first byte")
            : mac;
    }

    private PortForward ParseForward(string text)
    {
        const string shape = "forward is tcp:[ADDRESS:]PORT:GUESTPORT or udp:..., several joined by +";
        string[] ends = text.Split(':', 2);
        ForwardProtocol protocol = ends[0] switch
        {
            "tcp" => ForwardProtocol.Tcp,
            "udp" => ForwardProtocol.Udp,
            _ => throw Error($"forward={text}: '{ends[0]}' is neither tcp nor udp; {shape}"),
        };
        string rest = ends.Length > 1 ? ends[1] : "";
        int last = rest.LastIndexOf(':');
        if (last < 0)
        {
            throw Error($"forward={text}: the guest's port is missing; {shape}");
        }

        string host = rest[..last];
        int colon = host.LastIndexOf(':');
        IPAddress? address = IPAddress.Loopback;
        if (colon >= 0 && !IPAddress.TryParse(host[..colon].Trim('[', ']'), out address))
        {
            throw Error($"forward={text}: '{host[..colon]}' is not an address of this host; {shape}");
        }

        return new PortForward(protocol, address!, Port(host[(colon + 1)..]), Port(rest[(last + 1)..]));

        int Port(string word) => int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out int port) && port is > 0 and <= ushort.MaxValue
            ? port
            : throw Error($"forward={text}: '{word}' is not a port, 1 to 65535; {shape}");
    }

    // xl: NUMBER, then b or B (bits, bytes) with G, M or K before, then /s, then @ and an interval in us, ms or s.
    private NetworkRate ParseRate(string text)
    {
        string[] parts = text.Split('@', 2);
        string amount = parts[0].Trim(), interval = parts.Length > 1 ? parts[1].Trim() : "50ms";
        ConfigException wrong = Error($"rate={text} is not a rate, such as 10Mb/s or 250KB/s@20ms");
        if (!amount.EndsWith("/s", StringComparison.Ordinal) || amount.Length < 4)
        {
            throw wrong;
        }

        char unit = amount[^3];
        string number = amount[..^3];
        double scale = char.ToUpperInvariant(number[^1]) switch
        {
            'K' => 1e3,
            'M' => 1e6,
            'G' => 1e9,
            _ => 1,
        };
        number = scale > 1 ? number[..^1] : number;
        (string count, double seconds) = interval.EndsWith("us", StringComparison.Ordinal) ? (interval[..^2], 1e-6)
            : interval.EndsWith("ms", StringComparison.Ordinal) ? (interval[..^2], 1e-3)
            : interval.EndsWith('s') ? (interval[..^1], 1.0)
            : throw wrong;
        if (unit is not ('b' or 'B') || !ulong.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out ulong value) || value == 0
            || !uint.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out uint length) || length == 0)
        {
            throw wrong;
        }

        TimeSpan time = TimeSpan.FromSeconds(length * seconds);
        double bytes = value * scale * time.TotalSeconds / (unit == 'b' ? 8 : 1);
        return bytes is >= 1 and <= uint.MaxValue ? new NetworkRate((ulong)bytes, time)
            : throw Error($"rate={text} is {(bytes < 1 ? "less than a byte" : "more than 4 GiB")} in each interval");
    }

    private bool? Flag(string key) => Take(key) switch
    {
        null => null,
        "1" or "true" or "yes" or "on" => true,
        "0" or "false" or "no" or "off" => false,
        string other => throw Error($"{key}={other} is neither 0 nor 1"),
    };

    private int? Number(string key, int least, int most) => Take(key) is not string text ? null
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= least && number <= most ? number
        : throw Error($"{key}={text} is not a number from {least} to {most}");

    private string? Take(string key) => _settings.Remove(key, out string? value) ? value : null;

    private void Warn(string setting, string? why) => _warn($"{_position}: vif: {setting} has no effect{(why is null ? "" : ": " + why)}");

    private ConfigException Error(string message) => new(_position, $"vif: {message}");
}
