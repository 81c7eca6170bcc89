using Dbt.Tests.Xen.Hvm;

namespace Dbt.Tests.Cli.Hosting;

/// <summary><c>dbt clone</c>: guests of one file in a daemon.</summary>
public sealed class CloneCommandTests : IDisposable
{
    private readonly DaemonFolder _daemon = new();

    private string Saved => Path.Combine(_daemon.Path, "saved.dbt");

    public void Dispose() => _daemon.Dispose();

    [Fact]
    public void ClonesGetNamesAndRun()
    {
        Save();
        Assert.StartsWith("2 clones, one-clone1 to one-clone2: ", _daemon.Do("clone", "-n", "2", Saved), StringComparison.Ordinal);
        Assert.StartsWith("twin: ", _daemon.Do("clone", "--name", "twin", Saved), StringComparison.Ordinal);
        Assert.StartsWith("2 clones, one-clone3 to one-clone4: ", _daemon.Do("clone", "-p", "--count", "2", Saved), StringComparison.Ordinal);
        Assert.Equal(["one-clone1", "one-clone2", "one-clone3", "one-clone4", "twin"], _daemon.List().Select(static row => row.Name).Order(StringComparer.Ordinal));
        Assert.All(_daemon.List(), static row => Assert.Equal(row.Name is "one-clone3" or "one-clone4", row.State.Contains('p', StringComparison.Ordinal)));
        Assert.Contains("cloned from", _daemon.Do("dmesg", "twin"), StringComparison.Ordinal);
        Assert.Contains("already exists", _daemon.Refused("clone", "--name", "twin", Saved), StringComparison.Ordinal);
        _daemon.Do("destroy", "one-clone1");
        Assert.StartsWith("one-clone1: ", _daemon.Do("clone", Saved), StringComparison.Ordinal);

        // One that is shared goes on when the file is gone.
        File.Delete(Saved);
        _daemon.Do("unpause", "one-clone4");
        Assert.Contains(_daemon.List(), static row => row.Name == "one-clone4" && !row.State.Contains('p', StringComparison.Ordinal));
    }

    [Fact]
    public void WhatCannotBeIsTold()
    {
        _daemon.Do("create", "name=own", "memory=16");
        string own = Path.Combine(_daemon.Path, "own.dbt");
        _daemon.Do("save", "own", own);
        Assert.Contains("paravirtual guest can't be cloned", _daemon.Refused("clone", own), StringComparison.Ordinal);
        Assert.Contains("is not from 1 to 4096", _daemon.Refused("clone", "-n", "0", own), StringComparison.Ordinal);
        Assert.Contains("is not a name", _daemon.Refused("clone", "--name", "a/b", own), StringComparison.Ordinal);
        Save("vif=['bridge=net0']");
        Assert.Contains("plugged into net0", _daemon.Refused("clone", Saved), StringComparison.Ordinal);
        Assert.Empty(_daemon.List());
    }

    // A processor that runs for ever.
    private void Save(params string[] settings)
    {
        string kernel = Path.Combine(_daemon.Path, "kernel");
        File.WriteAllBytes(kernel, HvmFixture.Kernel([0x40, 0xEB, 0xFD]));
        _daemon.Do(["create", "name=one", "type=pvh", $"kernel={kernel}", "memory=16", .. settings]);
        _daemon.Do("save", "one", Saved);
    }
}
