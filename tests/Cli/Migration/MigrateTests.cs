using System.Text.RegularExpressions;
using Dbt.Tests.Cli.Hosting;
using Dbt.Translator;

namespace Dbt.Tests.Cli.Migration;

/// <summary>Our own guest, from one daemon to another and back, by the command.</summary>
public sealed partial class MigrateTests : IDisposable
{
    private readonly DaemonPair _pair = new();

    public static TheoryData<EngineKind> Engines => [EngineKind.Interpreter, EngineKind.Quick, EngineKind.Optimized, EngineKind.Tiered];

    public void Dispose() => _pair.Dispose();

    [Theory]
    [MemberData(nameof(Engines))]
    public void AGuestGoesThereAndBackAndKnowsNothing(EngineKind engine)
    {
        _pair.TrustEachOther();
        _pair.ListenBoth();
        _pair.Here.Do("create", "--engine", engine.ToString().ToLowerInvariant(), "name=x", "memory=32", "vcpus=2", $"disk=['{_pair.Disk()},raw,xvda,w']");
        using (DaemonFolder.RunningCommand console = _pair.Here.Start("console", "x"))
        {
            console.Await("dbt> ");
            console.Type("xs write data/word before\ndisk write 3 written\n");
            console.Await("dbt> ", times: 3);
            Assert.Matches(Moved(), _pair.Here.Do("migrate", "x", _pair.ThereAddress));

            // Who watched sees its end here.
            Assert.Equal(0, console.End());
        }

        Assert.Empty(_pair.Here.List());
        Assert.Equal(["x"], _pair.There.List().Select(static row => row.Name));
        using (DaemonFolder.RunningCommand console = _pair.There.Start("console", "x"))
        {
            console.Type("xs read data/word\ndisk read 3\nselftest\n");
            console.Await("\nbefore");
            console.Await("written");
            console.Await(" ok, 0 failed");
        }

        Assert.Matches(Moved(), _pair.There.Do("migrate", "x", _pair.HereAddress));
        using (DaemonFolder.RunningCommand console = _pair.Here.Start("console", "x"))
        {
            console.Type("selftest\nuser\n");
            console.Await(" ok, 0 failed");
            console.Type("reboot\n");
            console.Await("a 32-bit PAE Xen");
            console.Await("dbt> ");
            console.Type("halt\n");
            Assert.Equal(0, console.End());
        }

        Assert.Empty(_pair.Here.List());
        Assert.Empty(_pair.There.List());
        Assert.Contains("x came from another host", _pair.There.Log, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", _pair.Here.Log + _pair.There.Log, StringComparison.Ordinal);
        Assert.DoesNotContain("warning", _pair.Here.Log + _pair.There.Log, StringComparison.Ordinal);
    }

    /// <summary>A paravirtual guest that suspends itself needs no frames that are free there: another guest has them.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public void AGuestThatSuspendsItselfGoesWhereItsFramesAreTaken(EngineKind engine)
    {
        _pair.TrustEachOther();
        _pair.ListenBoth();
        _pair.There.Do("create", "-p", "name=other", "type=pv", "memory=16");
        _pair.Here.Do("create", "--engine", engine.ToString().ToLowerInvariant(), "name=x", "memory=32", "vcpus=3", "vif=['']", $"disk=['{_pair.Disk()},raw,xvda,w']", "extra=run=net 10.0.2.15");
        using (DaemonFolder.RunningCommand console = _pair.Here.Start("console", "x"))
        {
            console.Await("dbt> ", times: 2);
            console.Type("disk write 3 written\n");
            console.Await("dbt> ", times: 3);
            Assert.Contains("x stays here", _pair.Here.Refused("migrate", "x", _pair.ThereAddress), StringComparison.Ordinal);
            Assert.Matches(Moved(), _pair.Here.Do("migrate", "--kind", "suspended", "x", _pair.ThereAddress));
            Assert.Equal(0, console.End());
        }

        using (DaemonFolder.RunningCommand console = _pair.There.Start("console", "x"))
        {
            console.Type("suspend\ndisk read 3\nselftest\n");
            console.Await("suspend: resumed 1 times, cancelled 0 times");
            console.Await("written");
            console.Await(" ok, 0 failed\r\ndbt> ");
        }

        // Back, live, by the frames that it has now; and once more as it came.
        Assert.Matches(Moved(), _pair.There.Do("migrate", "x", _pair.HereAddress));
        Assert.Matches(Moved(), _pair.Here.Do("migrate", "--kind", "suspended", "x", _pair.ThereAddress));
        using (DaemonFolder.RunningCommand console = _pair.There.Start("console", "x"))
        {
            console.Type("suspend\nping 10.0.2.2\nselftest\nuser\nreboot\n");
            console.Await("suspend: resumed 2 times, cancelled 0 times");
            console.Await("ping: 10.0.2.2: 3 sent, 3 answered");
            console.Await(" ok, 0 failed");
            console.Await("a 32-bit PAE Xen");
            console.Await("dbt> net 10.0.2.15");
            console.Type("halt\n");
            Assert.Equal(0, console.End());
        }

        Assert.DoesNotContain("Exception", _pair.Here.Log + _pair.There.Log, StringComparison.Ordinal);
        Assert.DoesNotContain("warning", _pair.Here.Log + _pair.There.Log, StringComparison.Ordinal);
    }

    [Fact]
    public void AGuestThatDoesNotSuspendItselfStays()
    {
        _pair.TrustEachOther();
        _pair.ListenBoth();
        _pair.Here.Do("create", "name=x", "memory=16");
        using DaemonFolder.RunningCommand console = _pair.Here.Start("console", "x");
        console.Await("dbt> ");
        console.Type("idle 20\n");
        console.Await("dbt> idle 20\r\n");
        Assert.Contains("x has not suspended itself within 1 s", _pair.Here.Refused("migrate", "--kind", "suspended", "--suspend-timeout", "1", "x", _pair.ThereAddress), StringComparison.Ordinal);
        Assert.Empty(_pair.There.List());
        console.Await("idle: done");
        console.Type("suspend 0xF0000000\n");
        console.Await("dbt> ", times: 3);
        Assert.Contains("where it can have none", _pair.Here.Refused("migrate", "--kind", "suspended", "x", _pair.ThereAddress), StringComparison.Ordinal);
        console.Type("suspend\nxs rm control/feature-suspend\nselftest\n");
        console.Await("suspend: resumed 0 times, cancelled 1 times");
        console.Await(" ok, 0 failed");
        Assert.Contains("can't suspend itself", _pair.Here.Refused("migrate", "--kind", "suspended", "x", _pair.ThereAddress), StringComparison.Ordinal);
        console.Type("halt\n");
        Assert.Equal(0, console.End());
    }

    [Fact]
    public void AGuestThatCameIsSavedThereAndGoesBack()
    {
        string saved = System.IO.Path.Combine(_pair.There.Path, "x.dbt");
        _pair.TrustEachOther();
        _pair.ListenBoth();
        _pair.Here.Do("create", "name=x", "memory=16", "vcpus=2", $"disk=['{_pair.Disk()},raw,xvda,w']");
        using (DaemonFolder.RunningCommand console = _pair.Here.Start("console", "x"))
        {
            console.Await("dbt> ");
            console.Type("disk write 3 written\n");
            console.Await("dbt> ", times: 2);
        }

        _pair.Here.Do("migrate", "x", _pair.ThereAddress);
        _pair.There.Do("save", "x", saved);
        Assert.Empty(_pair.There.List());
        _pair.There.Do("restore", saved);
        _pair.There.Do("migrate", "x", _pair.HereAddress);
        _pair.Here.Do("save", "-c", "x", saved);
        using (DaemonFolder.RunningCommand console = _pair.Here.Start("console", "x"))
        {
            console.Type("disk read 3\nselftest\nhalt\n");
            console.Await("written");
            console.Await(" ok, 0 failed");
            Assert.Equal(0, console.End());
        }

        Assert.DoesNotContain("Exception", _pair.Here.Log + _pair.There.Log, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatCannotBeIsSaidAndTheGuestStays()
    {
        _pair.Here.Do("create", "name=x", "memory=16");
        Assert.Contains("doesn't listen on port 1 ", _pair.Here.Refused("migrate", "x", "127.0.0.1:1"), StringComparison.Ordinal);
        Assert.Contains("is no HOST[:PORT]", _pair.Here.Refused("migrate", "x", "127.0.0.1:no"), StringComparison.Ordinal);
        _pair.ListenBoth();
        Assert.Contains("isn't trusted here", _pair.Here.Refused("migrate", "x", _pair.ThereAddress), StringComparison.Ordinal);
        _pair.TrustEachOther();
        Assert.Contains("invalid domain identifier", _pair.Here.Refused("migrate", "y", _pair.ThereAddress), StringComparison.Ordinal);
        _pair.There.Do("create", "name=x", "memory=16");
        Assert.Contains("a domain of that name is there already: x", _pair.Here.Refused("migrate", "x", _pair.ThereAddress), StringComparison.Ordinal);
        _pair.There.Do("destroy", "x");
        _pair.There.Do("create", "name=y", "memory=16", $"uuid={Uuid()}");
        Assert.Contains("a domain with the UUID", _pair.Here.Refused("migrate", "x", _pair.ThereAddress), StringComparison.Ordinal);
        Assert.Contains("x stays here: ", _pair.Here.Refused("migrate", "x", _pair.HereAddress), StringComparison.Ordinal);
        using DaemonFolder.RunningCommand console = _pair.Here.Start("console", "x");
        console.Type("selftest\n");
        console.Await(" ok, 0 failed");
        Assert.Equal(["x"], _pair.Here.List().Select(static row => row.Name));
        Assert.Equal(["y"], _pair.There.List().Select(static row => row.Name));
    }

    [Fact]
    public void APausedGuestStaysPaused()
    {
        _pair.TrustEachOther();
        _pair.ListenBoth();
        _pair.Here.Do("create", "name=x", "memory=16");
        _pair.Here.Do("pause", "x");
        _pair.Here.Do("migrate", "x", _pair.ThereAddress);
        Assert.Equal([("x", "--p---")], _pair.There.List());
        _pair.There.Do("unpause", "x");
        using DaemonFolder.RunningCommand console = _pair.There.Start("console", "x");
        console.Type("echo on again\n");
        console.Await("\non again");
    }

    [Fact]
    public void KeysAreShownTrustedAndForgotten()
    {
        string pem = _pair.Here.Run("migrate-key").Output, print = _pair.Here.Do("migrate-key", "--fingerprint").Trim();
        Assert.StartsWith("-----BEGIN CERTIFICATE-----", pem, StringComparison.Ordinal);
        Assert.Matches("^([0-9A-F]{2}:){31}[0-9A-F]{2}$", print);
        string file = System.IO.Path.Combine(_pair.There.Path, "here.pem");
        File.WriteAllText(file, pem);
        Assert.Equal($"here {print}\n", _pair.There.Do("migrate-trust", "here", file));
        Assert.Equal($"here {print}\n", _pair.There.Do("migrate-trust", "--list"));
        Assert.Contains("trusted already", _pair.There.Refused("migrate-trust", "here", file), StringComparison.Ordinal);
        _pair.There.Do("migrate-trust", "--remove", "here");
        Assert.Equal("", _pair.There.Do("migrate-trust"));
        File.WriteAllText(file, "nothing");
        Assert.Contains("no certificate", _pair.There.Refused("migrate-trust", "here", file), StringComparison.Ordinal);
        Assert.Contains("no address to listen on", _pair.There.Refused("daemon", "--migration-listen", "nowhere.invalid"), StringComparison.Ordinal);
    }

    private string Uuid() => _pair.Here.Do("vm-list").Split('\n')[1].Split(' ', StringSplitOptions.RemoveEmptyEntries)[0];

    [GeneratedRegex(@"^x runs at 127\.0\.0\.1:\d+; it was held for [\d.]+ ms\n$")]
    private static partial Regex Moved();
}
