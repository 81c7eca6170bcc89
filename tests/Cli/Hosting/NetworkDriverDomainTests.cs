using Dbt.Tests.Packages;
using Dbt.Translator;

namespace Dbt.Tests.Cli.Hosting;

/// <summary>A driver domain of networks: one of our guests is a switch for the cards of others (<c>vif=['backend=NAME']</c>), and reaches further by its own card.</summary>
public sealed class NetworkDriverDomainTests : IDisposable
{
    private readonly DaemonFolder _daemon = new();

    public static TheoryData<EngineKind> Engines => [EngineKind.Interpreter, EngineKind.Quick, EngineKind.Optimized, EngineKind.Tiered];

    public void Dispose() => _daemon.Dispose();

    [Theory]
    [MemberData(nameof(Engines))]
    public void GuestsReachEachOtherThroughIt(EngineKind engine)
    {
        string word = engine.ToString().ToLowerInvariant();
        using DaemonFolder.RunningCommand net = Serve(word, "serve");
        _daemon.Do("create", "--engine", word, "name=a", "memory=16", "vif=['backend=net,mac=00:16:3e:00:00:0a,bridge=lan,rate=10Mb/s']", "extra=fifo run=net 10.0.0.1");
        net.Await("serve: domain 2 card 0 connected");
        using DaemonFolder.RunningCommand b = Start(word, "b", "vif=['backend=1']");
        b.Type("net 10.0.0.2\nping 10.0.0.1 5\nping 10.0.0.1 4 1472\nping 10.0.0.77 1\n");
        b.Await("ping: 10.0.0.1: 5 sent, 5 answered");
        b.Await("ping: 10.0.0.1: 4 sent, 4 answered");

        string[] row = _daemon.Do("network-list", "a").TrimEnd().Split('\n')[1].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(["0", "1", "00:16:3e:00:00:0a", "0", "4"], row[..5]);
        Assert.Equal("/local/domain/1/backend/vif/2/0", row[^1]);
        Assert.Equal("lan\n62500,50000\n", _daemon.Do("xenstore-read", "/local/domain/1/backend/vif/2/0/bridge", "/local/domain/1/backend/vif/2/0/rate"));
        Assert.Contains("  (n1,r2)", _daemon.Do("xenstore-ls", "-p", "/local/domain/1/backend/vif/2"), StringComparison.Ordinal);

        // A card that comes and goes, and one whose guest crashes: the others go on.
        b.Await("ping: 10.0.0.77: nobody has that address");
        using DaemonFolder.RunningCommand c = Start(word, "c");
        Assert.Equal("", _daemon.Do("network-attach", "c", "backend=net"));
        c.Type("net 10.0.0.3\nping 10.0.0.1 1\nnet close\n");
        c.Await("ping: 10.0.0.1: 1 sent, 1 answered");
        net.Await("serve: domain 4 card 0 closed, ");
        Assert.Equal("", _daemon.Do("network-detach", "c", "0"));
        Assert.Single(_daemon.Do("network-list", "c").TrimEnd().Split('\n'));
        _daemon.Do("network-attach", "c", "backend=net", "devid=7");
        c.Type("net 10.0.0.3\nping 10.0.0.2 1\ncrash ud2\n");
        net.Await("serve: domain 4 card 7 closed, ");
        b.Type("ping 10.0.0.1 2\n");
        b.Await("ping: 10.0.0.1: 2 sent, 2 answered");
    }

    [Fact]
    public void ItsOwnCardLeadsOutAndItsEndIsTold()
    {
        using DaemonFolder.RunningCommand net = Serve("tiered", "serve, with a card of our own", "vif=['bridge=user']");
        using DaemonFolder.RunningCommand a = Start("tiered", "a", "vif=['backend=net']");
        a.Type("net 10.0.2.77\nping 10.0.2.2 3\n");
        a.Await("ping: 10.0.2.2: 3 sent, 3 answered");

        _daemon.Do("destroy", "net");
        DaemonFolder.Await(() => _daemon.Run("xenstore-read", "/local/domain/1/backend/vif/2/0/state").Output == "6\n", () => _daemon.Log);
        a.Type("ping 10.0.2.2 1\n");
        a.Await("ping: no card, or nobody serves it");
        DaemonFolder.Await(() => _daemon.Do("network-list", "a").TrimEnd().Split('\n').Length == 1, () => _daemon.Log);
        Assert.Single(_daemon.Do("dmesg", "a").Split('\n'), static line =>
            line == "domain 1, which served network card 0, has ended: network card 0 is closed, and goes when the guest has let go of it");

        // Another one can serve it then.
        using DaemonFolder.RunningCommand next = Serve("tiered", "serve", name: "next");
        _daemon.Do("network-attach", "a", "backend=next");
        a.Type("net 10.0.2.77\n");
        next.Await("serve: domain 2 card 0 connected");
    }

    [RequiresPackageFact(ScriptGuest.Kernel, ScriptGuest.Busybox)]
    public void DebiansDriverUsesACardThatAGuestServes()
    {
        const string script = """
            ip link set eth0 up
            ip addr add 10.0.0.2/24 dev eth0
            ping -c 3 -W 20 -s 1400 10.0.0.1 | grep transmitted
            while [ -e /sys/class/net/eth0 ]; do usleep 20000; done
            echo "the card has gone"
            read line
            """;
        string ramdisk = Path.Combine(_daemon.Path, "initramfs");
        File.WriteAllBytes(ramdisk, ScriptGuest.Ramdisk(script, ["xen-netfront"]));
        using DaemonFolder.RunningCommand net = Serve("tiered", "serve");
        using DaemonFolder.RunningCommand own = Start("tiered", "own", "vif=['backend=net']");
        own.Type("net 10.0.0.1\n");
        own.Await("net: card ");
        _daemon.Do("create", "name=linux", "memory=96", $"kernel={DebianFiles.PathOf(ScriptGuest.Kernel)}", $"ramdisk={ramdisk}",
            "cmdline=console=hvc0 quiet mitigations=off noisapnp cryptomgr.notests", "vif=['backend=net']");
        using DaemonFolder.RunningCommand linux = _daemon.Start("console", "linux");
        linux.Await("3 packets transmitted, 3 packets received, 0% packet loss");

        // Its driver closes the card when the driver domain is gone, and the card goes.
        _daemon.Do("destroy", "net");
        linux.Await("the card has gone");
        Assert.Single(_daemon.Do("network-list", "linux").TrimEnd().Split('\n'));
    }

    [Fact]
    public void WhatMakesNoSenseIsRefused()
    {
        Assert.Equal("dbt: backend=nobody: there is no such domain here\n", _daemon.Refused("create", "name=a", "memory=16", "vif=['backend=nobody']"));
        _daemon.Do("create", "name=a", "memory=16", "vif=['bridge=user']", "extra=quiet");
        string id = _daemon.Do("domid", "a").Trim();
        Assert.Equal("dbt: backend=a: a guest can't serve its own devices\n", _daemon.Refused("network-attach", "a", "backend=a"));
        _daemon.Do("create", "name=b", "memory=16", "extra=quiet");
        Assert.Equal("dbt: there is a network card 0 already\n", _daemon.Refused("network-attach", "a", "backend=b", "devid=0"));
        Assert.Equal((1, 1), (_daemon.Run("xenstore-exists", $"/local/domain/{id}/device/vif/1").Status, _daemon.Run("xenstore-exists", "/local/domain/2/backend").Status));
    }

    private DaemonFolder.RunningCommand Serve(string engine, string says, string vif = "vif=[]", string name = "net")
    {
        _daemon.Do("create", "--engine", engine, $"name={name}", "memory=16", vif, "extra=fifo run=serve");
        DaemonFolder.RunningCommand console = _daemon.Start("console", name);
        console.Await(says.Replace("serve", "serve: waiting", StringComparison.Ordinal));
        return console;
    }

    private DaemonFolder.RunningCommand Start(string engine, string name, string vif = "vif=[]")
    {
        _daemon.Do("create", "--engine", engine, $"name={name}", "memory=16", vif);
        DaemonFolder.RunningCommand console = _daemon.Start("console", name);
        console.Await("dbt> ");
        return console;
    }
}
