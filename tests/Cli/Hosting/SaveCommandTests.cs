using Dbt.Translator;

namespace Dbt.Tests.Cli.Hosting;

/// <summary><c>dbt save</c> and <c>dbt restore</c>, of our own guest in a daemon.</summary>
public sealed class SaveCommandTests : IDisposable
{
    private readonly DaemonFolder _daemon = new();

    private string Saved => Path.Combine(_daemon.Path, "own.dbt");

    public static TheoryData<EngineKind> Engines => [EngineKind.Interpreter, EngineKind.Quick, EngineKind.Optimized, EngineKind.Tiered];

    public void Dispose() => _daemon.Dispose();

    [Theory]
    [MemberData(nameof(Engines))]
    public void AGuestIsSavedAndGoesOnInAnotherDaemon(EngineKind engine)
    {
        string image = Path.Combine(_daemon.Path, "own.img");
        File.WriteAllBytes(image, new byte[64 << 10]);
        _daemon.Do("create", "--engine", engine.ToString().ToLowerInvariant(), "name=own", "memory=16", "vcpus=2", $"disk=['{image},raw,xvda,w']");
        using (DaemonFolder.RunningCommand console = _daemon.Start("console", "own"))
        {
            console.Await("dbt> ");
            console.Type("disk write 3 before\nxs write data/a kept\n");
            console.Await("dbt> ", times: 3);
            Assert.Equal($"Saving to {Saved}\n", _daemon.Do("save", "own", Saved));
            Assert.Equal(0, console.End());
        }

        Assert.Empty(_daemon.List());
        Assert.Empty(Directory.GetFiles(_daemon.Path, "*.tmp"));
        _daemon.Do("daemon", "stop");
        _daemon.AwaitEnd();

        // Something else has its id there.
        _daemon.Do("create", "-p", "name=other", "type=pv", "memory=16");
        _daemon.Do("destroy", "other");
        Assert.Equal($"Loading saved guest from {Saved}\n", _daemon.Do("restore", Saved));
        using (DaemonFolder.RunningCommand console = _daemon.Start("console", "own"))
        {
            console.Type("disk read 3\nxs read data/a\nselftest\nhalt\n");
            console.Await(" ok, 0 failed");
            Assert.Contains("before", console.Text, StringComparison.Ordinal);
            Assert.Contains("\nkept", console.Text, StringComparison.Ordinal);
            Assert.Equal(0, console.End());
        }

        Assert.DoesNotContain("Exception", _daemon.Log, StringComparison.Ordinal);
    }

    /// <summary>A paravirtual guest that suspends itself needs no frames of its own: it goes on beside the one that it was.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public void AGuestThatSuspendsItselfGoesOnBesideItself(EngineKind engine)
    {
        _daemon.Do("create", "--engine", engine.ToString().ToLowerInvariant(), "name=own", "memory=16", "vcpus=3", "vif=['']", "extra=run=net 10.0.2.15");
        using DaemonFolder.RunningCommand console = _daemon.Start("console", "own");
        console.Await("dbt> ", times: 2);
        Assert.Equal($"Saving to {Saved}\n", _daemon.Do("save", "-c", "--kind", "suspended", "own", Saved));
        console.Type("suspend\n");
        console.Await("suspend: resumed 0 times, cancelled 1 times");
        _daemon.Do("restore", "--name", "twin", Saved);
        using DaemonFolder.RunningCommand twin = _daemon.Start("console", "twin");
        twin.Type("suspend\nping 10.0.2.2\nselftest\nselftest\nuser\nhalt\n");
        twin.Await("suspend: resumed 1 times, cancelled 0 times");
        twin.Await("ping: 10.0.2.2: 3 sent, 3 answered");
        Assert.Equal(0, twin.End());
        Assert.Equal(2, twin.Text.Split(" ok, 0 failed").Length - 1);

        // And again, in frames that a third of them leaves.
        _daemon.Do("restore", "--name", "triplet", Saved);
        _daemon.Do("save", "--kind", "suspended", "triplet", Saved);
        console.Type("selftest\nping 10.0.2.2\nhalt\n");
        console.Await(" ok, 0 failed");
        console.Await("ping: 10.0.2.2: 3 sent, 3 answered");
        Assert.Equal(0, console.End());
        _daemon.Do("restore", Saved);
        using DaemonFolder.RunningCommand triplet = _daemon.Start("console", "triplet");
        triplet.Type("suspend\nselftest\nhalt\n");
        triplet.Await("suspend: resumed 2 times, cancelled 0 times");
        triplet.Await(" ok, 0 failed");
        Assert.Equal(0, triplet.End());
        Assert.DoesNotContain("Exception", _daemon.Log, StringComparison.Ordinal);
    }

    [Fact]
    public void AGuestThatSuspendsWithNonsenseHarmsNobody()
    {
        _daemon.Do("create", "name=other", "memory=16", "vcpus=3");
        _daemon.Do("create", "name=own", "memory=16");
        using DaemonFolder.RunningCommand console = _daemon.Start("console", "own"), other = _daemon.Start("console", "other");
        console.Await("dbt> ");

        // A frame of the other guest's.
        console.Type("suspend 256\n");
        console.Await("dbt> ", times: 2);
        Assert.Contains("with a start_info in frame 100, where it can have none", _daemon.Refused("save", "--kind", "suspended", "own", Saved), StringComparison.Ordinal);
        Assert.False(File.Exists(Saved));
        other.Type("selftest\nselftest\nhalt\n");
        Assert.Equal(0, other.End());
        Assert.Equal(2, other.Text.Split(" ok, 0 failed").Length - 1);
        console.Type("suspend\nselftest\nhalt\n");
        console.Await("suspend: resumed 0 times, cancelled 1 times");
        console.Await(" ok, 0 failed");
        Assert.Equal(0, console.End());
    }

    [Fact]
    public void AGuestOfItsOwnProcessIsSavedAndGoesOnInADaemon()
    {
        string image = Path.Combine(_daemon.Path, "own.img");
        File.WriteAllBytes(image, new byte[64 << 10]);
        using (DaemonFolder.RunningCommand run = _daemon.Start("run", "name=own", "memory=16", $"disk=['{image},raw,xvda,w']"))
        {
            run.Await("dbt> ");
            run.Type("disk write 3 before\n");
            run.Await("dbt> ", times: 2);
            _daemon.Do("save", "-c", "own", Saved);
            run.Type("echo still here\n");
            run.Await("\nstill here");
            _daemon.Do("save", "own", Saved);
            Assert.Equal(0, run.End());
        }

        _daemon.Do("restore", Saved);
        using DaemonFolder.RunningCommand console = _daemon.Start("console", "own");
        console.Type("disk read 3\nreboot\n");
        console.Await("a 32-bit PAE Xen");
        Assert.Contains("before", console.Text, StringComparison.Ordinal);
        console.Await("dbt> ");
        console.Type("halt\n");
        Assert.Equal(0, console.End());
    }

    [Fact]
    public void ACheckpointLeavesItRunningAndPausedLeavesItPaused()
    {
        _daemon.Do("create", "name=own", "memory=16");
        using DaemonFolder.RunningCommand console = _daemon.Start("console", "own");
        console.Await("dbt> ");
        _daemon.Do("save", "-c", "own", Saved);
        console.Type("echo still here\n");
        console.Await("\nstill here");
        _daemon.Do("save", "-p", "own", Saved);
        Assert.Equal([("own", "--p---")], _daemon.List());
        Assert.Contains("already exists", _daemon.Refused("restore", Saved), StringComparison.Ordinal);
        _daemon.Do("destroy", "own");
        _daemon.Do("restore", "-p", "--name", "twin", Saved);
        Assert.Equal([("twin", "--p---")], _daemon.List());
        _daemon.Do("unpause", "twin");
        using DaemonFolder.RunningCommand twin = _daemon.Start("console", "twin");
        twin.Type("echo here too\nhalt\n");
        twin.Await("\nhere too");
        Assert.Equal(0, twin.End());
    }

    [Fact]
    public void WhatCannotBeIsToldAndTheGuestGoesOn()
    {
        _daemon.Do("create", "name=own", "memory=16");
        using DaemonFolder.RunningCommand console = _daemon.Start("console", "own");
        console.Await("dbt> ");
        Assert.Contains("can't be written", _daemon.Refused("save", "own", Path.Combine(_daemon.Path, "none", "x")), StringComparison.Ordinal);
        console.Type("xs rm control/feature-suspend\n");
        console.Await("dbt> ", times: 2);
        Assert.Contains("can't suspend itself", _daemon.Refused("save", "--kind", "suspended", "own", Saved), StringComparison.Ordinal);
        Assert.Contains("invalid domain identifier", _daemon.Refused("save", "nobody", Saved), StringComparison.Ordinal);
        Assert.False(File.Exists(Saved));
        console.Type("echo still here\n");
        console.Await("\nstill here");
        Assert.Contains("Could not find file", _daemon.Refused("restore", Saved), StringComparison.Ordinal);
        File.WriteAllText(Saved, "no guest");
        Assert.Contains("it is no guest that dbt save saved", _daemon.Refused("restore", Saved), StringComparison.Ordinal);
    }
}
