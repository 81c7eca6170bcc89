using System.Diagnostics;
using System.Globalization;
using Dbt.Perf.Boot;

namespace Dbt.Perf.Migration;

/// <summary>
/// Three network namespaces of the host: two in which a daemon runs, each with a bridge that a guest's TAP device and a cable are plugged into, and one of
/// a peer, where both cables meet. Needs root. Gone when this is.
/// </summary>
internal sealed class MigrationNetwork : IDisposable
{
    /// <summary>The TAP device of the guest's card, by the same name on both sides.</summary>
    public const string Tap = "dbt0";

    /// <summary>The peer's and the guest's address.</summary>
    public const string PeerAddress = "10.7.0.1", GuestAddress = "10.7.0.2";

    private const string Bridge = "br0";

    private readonly string _peer = Name("peer");
    private readonly string[] _hosts = [Name("a"), Name("b")];

    /// <summary>Makes it.</summary>
    /// <exception cref="BootFailure">It can't be made.</exception>
    public MigrationNetwork()
    {
        try
        {
            AddBridge(_peer, PeerAddress);
            for (int i = 0; i < _hosts.Length; i++)
            {
                string host = _hosts[i], cable = string.Create(CultureInfo.InvariantCulture, $"host{i}");
                AddBridge(host, HostAddress(i));
                Ip("-n", host, "link", "add", "uplink", "type", "veth", "peer", "name", cable, "netns", _peer);
                Plug(host, "uplink");
                Plug(_peer, cable);
                Ip("-n", host, "tuntap", "add", "dev", Tap, "mode", "tap");
                Plug(host, Tap);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>A command that starts what follows in a daemon's namespace.</summary>
    public string[] OnHost(int host) => ["ip", "netns", "exec", _hosts[host]];

    /// <summary>The address of a daemon's host.</summary>
    public static string HostAddress(int host) => string.Create(CultureInfo.InvariantCulture, $"10.7.0.{11 + host}");

    /// <summary>Starts this program as the peer of a guest that sends.</summary>
    public Process StartPeer(int port)
    {
        string[] self = Environment.ProcessPath is { } path && Path.GetFileNameWithoutExtension(path) != "dotnet" ? [path] : ["dotnet", typeof(MigrationNetwork).Assembly.Location];
        var start = new ProcessStartInfo("ip", ["netns", "exec", _peer, .. self, "migrate", "--peer", string.Create(CultureInfo.InvariantCulture, $"{GuestAddress}:{port}")])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        return Process.Start(start) ?? throw new BootFailure("ip can't be started.");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (string space in (string[])[.. _hosts, _peer])
        {
            using Process process = Process.Start(new ProcessStartInfo("ip", ["netns", "del", space]) { RedirectStandardError = true })!;
            process.WaitForExit();
        }
    }

    private static string Name(string what) => string.Create(CultureInfo.InvariantCulture, $"dbt-{Environment.ProcessId}-{what}");

    private static void AddBridge(string space, string address)
    {
        Ip("netns", "add", space);
        Ip("-n", space, "link", "set", "lo", "up");
        Ip("-n", space, "link", "add", Bridge, "type", "bridge");
        Ip("-n", space, "addr", "add", address + "/24", "dev", Bridge);
        Ip("-n", space, "link", "set", Bridge, "up");
    }

    private static void Plug(string space, string device)
    {
        Ip("-n", space, "link", "set", device, "master", Bridge);
        Ip("-n", space, "link", "set", device, "up");
    }

    private static void Ip(params string[] words)
    {
        using Process process = Process.Start(new ProcessStartInfo("ip", words) { RedirectStandardError = true, RedirectStandardOutput = true })
            ?? throw new BootFailure("ip can't be started; install iproute2.");
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new BootFailure($"ip {string.Join(' ', words)}: {errors.Trim()} (this needs root)");
        }
    }
}
