using System.Globalization;
using Dbt.Tests.Packages;
using Xunit.Abstractions;

namespace Dbt.Tests.Devices.Network;

/// <summary>
/// Debian's own kernel with its own network driver: two guests on one switch, and one with the host through a TAP device. With
/// DBT_NETWORK_GUESTS set to the mebibytes to move; docs/PERFORMANCE.md has figures.
/// </summary>
public sealed class NetworkGuestTests(ITestOutputHelper output) : IDisposable
{
    private static readonly string[] Modules = ["xen-netfront"];
    private static readonly int Mebibytes = int.Parse(Environment.GetEnvironmentVariable("DBT_NETWORK_GUESTS") ?? "0", CultureInfo.InvariantCulture);

    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-net").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [RequiresNetworkGuestsFact]
    public void TwoGuestsOnOneSwitchPassOnWhatTheyGot()
    {
        string bridge = $"test{Environment.ProcessId}";
        using ScriptGuest receiver = Start("receiver", $"bridge={bridge}", """
            ifconfig eth0 10.0.0.1 up
            echo ready
            nc -l -p 5000 > /x
            echo "sum $(sha256sum < /x)"
            echo "large $(($(cat /sys/class/net/eth0/statistics/rx_bytes) / $(cat /sys/class/net/eth0/statistics/rx_packets)))"
            """);
        receiver.WaitFor("ready");
        using ScriptGuest sender = Start("sender", $"bridge={bridge}", $$"""
            ifconfig eth0 10.0.0.2 up
            dd if=/dev/urandom of=/x bs=1M count={{Mebibytes}} 2> /dev/null
            echo "sum $(sha256sum < /x)"
            until ping -c 1 -W 1 10.0.0.1 > /dev/null; do :; done
            start=$(cut -d ' ' -f 1 /proc/uptime)
            nc 10.0.0.1 5000 < /x
            echo "seconds $start $(cut -d ' ' -f 1 /proc/uptime)"
            """);
        string sent = sender.WaitFor("sum ");
        output.WriteLine($"{Mebibytes} MiB: {Duration(sender.WaitFor("seconds "))} s by the guest's clock");
        Assert.Equal(sent, receiver.WaitFor("sum "));
        int average = int.Parse(receiver.WaitFor("large "), CultureInfo.InvariantCulture);
        output.WriteLine($"bytes a frame: {average}");

        // Frames went whole, not in pieces of the MTU.
        Assert.True(average > 3000, $"{average} bytes a frame");
        Assert.Equal((0, 0), (sender.WaitForEnd(), receiver.WaitForEnd()));
    }

    [RequiresNetworkGuestsFact]
    public void TheHostReachesTheGuestThroughTap()
    {
        using var space = new HostNamespace();
        string device = $"dbtg{Environment.ProcessId % 100_000}";
        using ScriptGuest guest = Start("tap", $"bridge=tap:{device}", $$"""
            ifconfig eth0 10.0.0.2 up
            echo ready
            until ping -c 1 -W 1 10.0.0.1 > /dev/null; do :; done
            dd if=/dev/urandom of=/x bs=1M count={{Mebibytes}} 2> /dev/null
            echo "sum $(sha256sum < /x)"
            nc -l -p 5000 < /x
            nc -l -p 5001 > /y
            echo "back $(sha256sum < /y)"
            """);
        guest.WaitFor("ready");
        space.Take(device, "10.0.0.1/24");
        string sent = guest.WaitFor("sum ");
        (int status, string text) = space.Inside("ping", "-c", "5", "-i", "0.2", "-s", "1400", "10.0.0.2");
        Assert.True(status == 0, text);
        output.WriteLine(text);

        // What the guest sends comes back to it.
        string file = Path.Combine(_folder, "got");
        string transfer = $"until exec 3<>/dev/tcp/10.0.0.2/5000; do sleep 0.1; done; cat <&3 > {file}; exec 3>&-; "
            + $"until exec 3<>/dev/tcp/10.0.0.2/5001; do sleep 0.1; done; cat {file} >&3";
        (status, text) = space.Inside("bash", "-c", transfer);
        Assert.True(status == 0, text);
        Assert.Equal(sent, guest.WaitFor("back "));
        using FileStream got = File.OpenRead(file);
        Assert.StartsWith(Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(got)), sent, StringComparison.Ordinal);
        Assert.Equal(0, guest.WaitForEnd());
    }

    private static double Duration(string words)
    {
        double[] times = [.. words.Split(' ').Select(static word => double.Parse(word, CultureInfo.InvariantCulture))];
        return Math.Round(times[1] - times[0], 2);
    }

    private ScriptGuest Start(string name, string vif, string script) => new(
        Directory.CreateDirectory(Path.Combine(_folder, name)).FullName, script, Modules,
        [$"name={name}", $"memory={128 + (3 * Mebibytes)}", $"vif=['{vif}']"]);
}
