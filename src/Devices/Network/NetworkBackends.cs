using Dbt.Devices.Network.Switch;
using Dbt.Devices.Network.Tap;

namespace Dbt.Devices.Network;

/// <summary>What a card may be plugged into, by the words of the configuration's <c>bridge=</c>.</summary>
public static class NetworkBackends
{
    /// <summary>The word for network address translation in this process.</summary>
    public const string User = "user";

    /// <summary>What stands before the name of a TAP device.</summary>
    public const string TapPrefix = "tap:";

    /// <summary>
    /// How to open a TAP device (<c>tap:NAME</c>) or a port of a switch (any other name); <see cref="User"/> is not for here. Null where
    /// it is no name. Opening may throw <see cref="Dbt.Runtime.HostException"/>.
    /// </summary>
    public static Func<INetworkBackend>? Find(string bridge)
    {
        if (bridge.StartsWith(TapPrefix, StringComparison.Ordinal))
        {
            string device = bridge[TapPrefix.Length..];
            return TapDevice.IsName(device) ? () => TapDevice.Open(device) : null;
        }

        return bridge != User && SwitchFolder.IsName(bridge) ? () => SharedSwitchPort.Open(bridge) : null;
    }
}
