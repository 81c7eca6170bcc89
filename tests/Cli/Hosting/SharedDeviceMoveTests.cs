using Dbt.Tests.Cli.Migration;

namespace Dbt.Tests.Cli.Hosting;

/// <summary>Guests that one another's devices bind can neither be saved nor moved: that is said, and everybody goes on.</summary>
public sealed class SharedDeviceMoveTests : IDisposable
{
    private readonly DaemonPair _pair = new();

    private DaemonFolder Daemon => _pair.Here;

    public void Dispose() => _pair.Dispose();

    [Theory]
    [InlineData("disk=['ram:48,raw,xvda,rw,backend=server']", "disk xvda", "disk write 3 written\n", "disk: write of sector 3: status 0", "block-detach", "xvda", "disk close\n", "disk: closed")]
    [InlineData("vif=['backend=server']", "network card 0", "net 10.0.0.1\n", "net: card ", "network-detach", "0", "net close\n", "net: closed")]
    public void NeitherCanGoUntilItIsDetached(string device, string what, string use, string used, string detach, string name, string close, string closed)
    {
        _pair.TrustEachOther();
        _pair.ListenBoth();
        Daemon.Do("create", "name=server", "memory=16", "extra=run=serve 1");
        Daemon.Do("create", "name=user", "memory=16", device);
        using DaemonFolder.RunningCommand server = Daemon.Start("console", "server"), user = Daemon.Start("console", "user");
        user.Await("dbt> ");
        user.Type(use);
        user.Await(used);

        string refusal = $"domain server serves {what} of user; detach it first, as such devices can't be saved or moved\n", saved = Path.Combine(Daemon.Path, "saved");
        Assert.Equal($"dbt: {refusal}", Daemon.Refused("save", "user", saved));
        Assert.Equal($"dbt: {refusal}", Daemon.Refused("migrate", "user", _pair.ThereAddress));
        Assert.Contains(" of server leads to domain 2", Daemon.Refused("save", "server", saved), StringComparison.Ordinal);
        Assert.Contains(" of server leads to domain 2", Daemon.Refused("migrate", "server", _pair.ThereAddress), StringComparison.Ordinal);
        Assert.Equal((0, 0, 2), (Directory.GetFiles(Daemon.Path, "*saved*").Length, _pair.There.List().Count, Daemon.List().Count));
        user.Type(use);
        user.Await(used, times: 2);

        // Without it they can.
        user.Type(close);
        user.Await(closed);
        server.Await("serve: domain 2 ");
        Assert.Equal("", Daemon.Do(detach, "user", name));
        server.Await("dbt> ", times: 2);
        Daemon.Do("save", "-c", "server", saved);
        Daemon.Do("migrate", "user", _pair.ThereAddress);
        Assert.Equal(["user"], _pair.There.List().Select(static row => row.Name));
    }
}
