using Dbt.Cli.Config;
using Dbt.Devices.Network;

namespace Dbt.Tests.Cli.Config;

/// <summary>vif= in xl's ways to write it, and ours.</summary>
public sealed class VifSpecificationTests
{
    private static (IReadOnlyList<NetworkConfiguration> Cards, IReadOnlyList<string> Warnings) Read(string vif, string uuid = "6c3e0dbd-2c1a-4b8e-9d7a-0f1e2d3c4b5a")
    {
        GuestConfig config = GuestConfigReader.Read((string?)null, [$"vif={vif}", $"uuid={uuid}"]);
        return (config.Networks, config.Warnings);
    }

    [Fact]
    public void AnEmptyStringIsACardWithAllDefaults()
    {
        (IReadOnlyList<NetworkConfiguration> cards, IReadOnlyList<string> warnings) = Read("['', '']");
        Assert.Empty(warnings);
        Assert.Equal([(0u, "user", 1500), (1u, "user", 1500)], cards.Select(c => (c.Handle, c.Bridge, c.Mtu)));
        Assert.StartsWith("00:16:3e:", cards[0].Mac.ToString(), StringComparison.Ordinal);
        Assert.NotEqual(cards[0].Mac, cards[1].Mac);
        Assert.Equal(cards[0].Mac, Read("['']").Cards[0].Mac);
        Assert.Null(cards[0].Rate);
    }

    [Fact]
    public void WithoutAKeyThereIsNoCard() => Assert.Empty(GuestConfigReader.Read((string?)null, []).Networks);

    [Theory]
    [InlineData("mac=00:16:3E:11:22:33, bridge=xenbr0, mtu=9000", "00:16:3e:11:22:33", "xenbr0", 9000)]
    [InlineData("bridge=tap:dbt0,mac=00-16-3e-11-22-33", "00:16:3e:11:22:33", "tap:dbt0", 1500)]
    [InlineData("bridge=tap,vifname=dbt0,mac=00:16:3e:11:22:33", "00:16:3e:11:22:33", "tap:dbt0", 1500)]
    [InlineData("type=vif,backend=0,mac=2:0:0:0:0:1,bridge=user,mtu=576,ip=10.0.2.20,loopback=0,restrict=1", "02:00:00:00:00:01", "user", 576)]
    [InlineData("mac=00:16:3e:11:22:33,forward=tcp:8080:80+udp:0.0.0.0:5353:53,forward=tcp:[::1]:2222:22", "00:16:3e:11:22:33", "user", 1500)]
    public void Settings(string vif, string mac, string bridge, int mtu)
    {
        (IReadOnlyList<NetworkConfiguration> cards, IReadOnlyList<string> warnings) = Read($"['{vif}']");
        NetworkConfiguration card = Assert.Single(cards);
        Assert.Empty(warnings);
        Assert.Equal((mac, bridge, mtu), (card.Mac.ToString(), card.Bridge, card.Mtu));
    }

    [Theory]
    [InlineData("10Mb/s", 62_500, 50)]
    [InlineData("250KB/s@20ms", 5000, 20)]
    [InlineData("1GB/s@1s", 1_000_000_000, 1000)]
    [InlineData("80b/s@500000us", 5, 500)]
    public void Rates(string rate, ulong bytes, int milliseconds) =>
        Assert.Equal(new NetworkRate(bytes, TimeSpan.FromMilliseconds(milliseconds)), Read($"['rate={rate}']").Cards[0].Rate);

    [Fact]
    public void WhatHasNoEffectIsNamed()
    {
        IReadOnlyList<string> warnings = Read("['script=vif-route,vifname=vif1.0,model=e1000,type=ioemu,bridge=br0,ip=192.0.2.7']").Warnings;
        Assert.Equal(
            ["vifname has no effect: it names a TAP device, with bridge=tap", "type=ioemu has no effect: cards are paravirtual here",
             "ip has no effect: the guest chooses its address on bridge=br0", "script has no effect", "model has no effect"],
            warnings.Select(w => w.Replace("command line:1:6: vif: ", "", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("'bridge=user'", "command line:1:5: vif must be a list")]
    [InlineData("[7]", "command line:1:6: vif: each element must be a string")]
    [InlineData("['user']", "command line:1:6: vif: 'user' is not key=value")]
    [InlineData("['mac=1:2:3']", "vif: mac=1:2:3 is not an Ethernet address, such as 00:16:3e:12:34:56")]
    [InlineData("['mac=01:16:3e:00:00:01']", "vif: mac=01:16:3e:00:00:01 is a group's address")]
    [InlineData("['mac=02:00:00:00:00:01','mac=02:00:00:00:00:01']", "command line:1:30: vif: mac=02:00:00:00:00:01 is another card's")]
    [InlineData("['devid=1','']", "vif: devid=1 is another card's")]
    [InlineData("['mtu=10']", "vif: mtu=10 is not a number from 576 to 65521")]
    [InlineData("['mtu=1500,mtu=1400']", "vif: mtu is given twice")]
    [InlineData("['frob=1']", "vif: unknown setting frob")]
    [InlineData("['bridge=tap']", "vif: bridge=tap needs the device's name: bridge=tap:NAME")]
    [InlineData("['bridge=a/b']", "vif: bridge=a/b is neither user, nor tap:NAME, nor the name of a switch")]
    [InlineData("['bridge=br0,forward=tcp:80:80']", "vif: forward is for bridge=user, not for bridge=br0")]
    [InlineData("['bridge=br0,restrict=1']", "vif: restrict is for bridge=user, not for bridge=br0")]
    [InlineData("['loopback=maybe']", "vif: loopback=maybe is neither 0 nor 1")]
    [InlineData("['ip=10.0.2.2']", "vif: ip=10.0.2.2 is not one of 10.0.2.4 to 10.0.2.254")]
    [InlineData("['ip=10.0.3.15']", "vif: ip=10.0.3.15 is not one of")]
    [InlineData("['backend=net,forward=tcp:80:80']", "vif: forward is for bridge=user, not for backend=net")]
    [InlineData("['backend=net,loopback=0']", "vif: loopback is for bridge=user, not for backend=net")]
    [InlineData("['rate=fast']", "vif: rate=fast is not a rate, such as 10Mb/s")]
    [InlineData("['rate=10Mb/s@soon']", "vif: rate=10Mb/s@soon is not a rate")]
    [InlineData("['rate=1b/s@1ms']", "vif: rate=1b/s@1ms is less than a byte in each interval")]
    [InlineData("['forward=sctp:1:2']", "vif: forward=sctp:1:2: 'sctp' is neither tcp nor udp; forward is tcp:[ADDRESS:]PORT:GUESTPORT")]
    [InlineData("['forward=tcp:80']", "vif: forward=tcp:80: the guest's port is missing")]
    [InlineData("['forward=tcp:8080:80+udp:x:53']", "vif: forward=udp:x:53: 'x' is not a port, 1 to 65535")]
    [InlineData("['forward=tcp:host:8080:80']", "vif: forward=tcp:host:8080:80: 'host' is not an address of this host")]
    [InlineData("['forward=tcp:8080:0']", "'0' is not a port")]
    [InlineData("['forward=tcp:70000:80']", "'70000' is not a port")]
    [InlineData("['forward=']", "'' is neither tcp nor udp")]
    public void WhatIsWrongIsNamed(string vif, string message) =>
        Assert.Contains(message, Assert.Throws<ConfigException>(() => Read(vif)).Message, StringComparison.Ordinal);
}
