using Dbt.Tests.Xen.Hvm;
using Dbt.Translator;

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

    /// <summary>Our own guest (PV), suspended: each clone has other machine frames in page tables of its own, and devices of its own; none sees another's memory or disk.</summary>
    [Theory]
    [InlineData(EngineKind.Interpreter)]
    [InlineData(EngineKind.Quick)]
    [InlineData(EngineKind.Optimized)]
    [InlineData(EngineKind.Tiered)]
    public void AParavirtualGuestThatSuspendedItselfIsClonedToo(EngineKind engine)
    {
        string image = Path.Combine(_daemon.Path, "own.img");
        File.WriteAllBytes(image, new byte[64 << 10]);
        _daemon.Do("create", "--engine", engine.ToString().ToLowerInvariant(), "name=own", "memory=24", "vcpus=3", "vif=['']", $"disk=['{image},raw,xvda,w']", "extra=run=net 10.0.2.15;disk write 3 before;poke 0xC0000ffc 4711");
        using (DaemonFolder.RunningCommand console = _daemon.Start("console", "own"))
        {
            console.Await("dbt> ", times: 4);
            _daemon.Do("save", "--kind", "suspended", "own", Saved);
        }

        Assert.StartsWith("3 clones, own-clone1 to own-clone3: ", _daemon.Do("clone", "-n", "3", Saved), StringComparison.Ordinal);
        File.Delete(Saved);
        DaemonFolder.RunningCommand[] clones = [.. Enumerable.Range(1, 3).Select(i => _daemon.Start("console", $"own-clone{i}"))];
        for (int i = 0; i < clones.Length; i++)
        {
            clones[i].Type($"suspend\ndisk read 3\npeek 0xC0000ffc\npoke 0xC0000ffc {i}\ndisk write 3 mine{i}\nping 10.0.2.2\nselftest\n");
        }

        for (int i = 0; i < clones.Length; i++)
        {
            clones[i].Await(" ok, 0 failed");
            clones[i].Type("peek 0xC0000ffc\ndisk read 3\nselftest processors\nuser\nhalt\n");
        }

        for (int i = 0; i < clones.Length; i++)
        {
            Assert.Equal(0, clones[i].End());
            string said = clones[i].Text.Replace("\r", "", StringComparison.Ordinal);
            Assert.Contains("suspend: resumed 1 times, cancelled 0 times\n", said, StringComparison.Ordinal);
            Assert.Contains("  before.", said, StringComparison.Ordinal);
            Assert.Contains("c0000ffc: 00001267\n", said, StringComparison.Ordinal);
            Assert.Contains("ping: 10.0.2.2: 3 sent, 3 answered", said, StringComparison.Ordinal);
            Assert.Contains($"c0000ffc: 0000000{i}\n", said, StringComparison.Ordinal);
            Assert.Contains($"  mine{i}", said, StringComparison.Ordinal);
            Assert.Equal(2, said.Split(" ok, 0 failed").Length - 1);
            Assert.Contains("user: exit code 1b79ecb1", said, StringComparison.Ordinal);
            clones[i].Dispose();
        }

        // What they wrote to the disk went with them.
        Assert.DoesNotContain("mine", System.Text.Encoding.Latin1.GetString(File.ReadAllBytes(image)), StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", _daemon.Log, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatCannotBeIsTold()
    {
        _daemon.Do("create", "name=own", "memory=16");
        string own = Path.Combine(_daemon.Path, "own.dbt");
        _daemon.Do("save", "own", own);
        Assert.Contains("save it with --kind suspended", _daemon.Refused("clone", own), StringComparison.Ordinal);
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
