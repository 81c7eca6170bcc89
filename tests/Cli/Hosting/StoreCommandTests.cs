namespace Dbt.Tests.Cli.Hosting;

/// <summary>xenstore's commands on the daemon's store: grammar, output and exit statuses of Xen's own.</summary>
public sealed class StoreCommandTests : IDisposable
{
    private readonly DaemonFolder _daemon = new();

    public void Dispose() => _daemon.Dispose();

    [Fact]
    public void NodesAreShownChangedAndRemoved()
    {
        Assert.Equal((1, ""), Without(_daemon.Run("xenstore-ls")));
        Assert.Equal("", _daemon.Do("create", "name=alpha", "memory=16", "uuid=11111111-2222-3333-4444-555555555555", "extra=quiet run=mem"));

        string[] all = _daemon.Do("xenstore-ls").Split('\n');
        Assert.Contains("tool = \"\"", all);
        Assert.Contains("   name = \"alpha\"", all);
        Assert.Contains("   vm = \"/vm/11111111-2222-3333-4444-555555555555\"", all);
        Assert.Equal("availability = \"online\"\n", _daemon.Do("xenstore-ls", "/local/domain/1/cpu/0"));
        Assert.Equal("/local/domain/1/cpu/0 = \"\"\n/local/domain/1/cpu/0/availability = \"online\"\n", _daemon.Do("xenstore-ls", "-f", "/local/domain/1/cpu"));
        Assert.Equal("/local/domain/1/device/suspend = \"\"   (n0,r1)\n/local/domain/1/device/suspend/event-channel = \"\"   (n1)\n",
            _daemon.Do("xenstore-ls", "-f", "-p", "/local/domain/1/device"));
        Assert.Equal((1, "xenstore-ls: xs_directory (/nowhere): No such file or directory\n"), Without(_daemon.Run("xenstore-ls", "/nowhere")));

        Assert.Equal("", _daemon.Do("xenstore-write", "/a/b", "x\\ty", "/a/c", "1", "note", "relative"));
        Assert.Equal("x\\ty\n", _daemon.Do("xenstore-read", "/a/b"));
        Assert.Equal("/a/b: x\\ty\n/a/c: 1\n", _daemon.Do("xenstore-read", "-p", "/a/b", "/a/c"));
        Assert.Equal("relative\n", _daemon.Do("xenstore-read", "/local/domain/0/note"));
        Assert.Equal((1, "1\n", "xenstore-read: couldn't read path /a/d\n"), _daemon.Run("xenstore-read", "/a/c", "/a/d"));
        Assert.Equal((1, "xenstore-write: could not write path /x//y\n"), Without(_daemon.Run("xenstore-write", "/all", "or none", "/x//y", "1")));
        Assert.Equal((1, ""), Without(_daemon.Run("xenstore-exists", "/all")));
        Assert.Equal((2, "dbt: Usage: xenstore-write key value [...]\nSee: dbt xenstore-write --help\n"), Without(_daemon.Run("xenstore-write", "/a")));

        Assert.Equal("b\nc\n", _daemon.Do("xenstore-list", "/a"));
        Assert.Equal("/a/b\n/a/c\n", _daemon.Do("xenstore-list", "-p", "/a"));
        Assert.Equal((1, "xenstore-list: could not list path /b\n"), Without(_daemon.Run("xenstore-list", "/b")));
        Assert.Equal("", _daemon.Do("xenstore-exists", "/a", "/a/b"));
        Assert.Equal((1, ""), Without(_daemon.Run("xenstore-exists", "/a", "/b")));

        Assert.Equal("", _daemon.Do("xenstore-chmod", "-r", "/a", "n0", "r1", "w2", "b3"));
        Assert.Equal("/a/b = \"x\\ty\"   (n0,r1,w2,b3)\n/a/c = \"1\"   (n0,r1,w2,b3)\n", _daemon.Do("xenstore-ls", "-fp", "/a"));
        Assert.Equal((2, "dbt: Invalid permission specification: 'q'\nSee: dbt xenstore-chmod --help\n"), Without(_daemon.Run("xenstore-chmod", "/a", "q0")));
        Assert.Equal((1, "xenstore-chmod: Error occurred setting permissions on '/b': No such file or directory\n"), Without(_daemon.Run("xenstore-chmod", "/b", "n0")));

        Assert.Equal("", _daemon.Do("xenstore-rm", "/a/b"));
        Assert.Equal("", _daemon.Do("xenstore-rm", "-t", "/a/c"));
        Assert.Equal((1, ""), Without(_daemon.Run("xenstore-exists", "/a")));
        Assert.Equal((1, "xenstore-rm: could not remove path /a/b/c\n"), Without(_daemon.Run("xenstore-rm", "/a/b/c")));
    }

    [Fact]
    public void ChangesAreWatchedAndAGuestWhoseNodesAreGoneCanBeEnded()
    {
        Assert.Equal("", _daemon.Do("create", "name=alpha", "memory=16", "extra=quiet run=mem"));
        using (DaemonFolder.RunningCommand watch = _daemon.Start("xenstore-watch", "-n", "5", "/w", "@releaseDomain"))
        {
            watch.Await("/w\n@releaseDomain\n");
            _daemon.Do("xenstore-write", "/w/a", "1", "/elsewhere", "1");
            _daemon.Do("xenstore-rm", "/w/a");
            _daemon.Do("destroy", "alpha");
            Assert.Equal(0, watch.End());
            watch.Await("/w\n@releaseDomain\n/w/a\n/w/a\n@releaseDomain\n");
        }

        Assert.Equal((1, "dbt: //: EINVAL\n"), Without(_daemon.Run("xenstore-watch", "//")));
        Assert.Equal("", _daemon.Do("create", "name=beta", "memory=16", "extra=quiet run=mem"));
        Assert.Equal("", _daemon.Do("xenstore-rm", "--of", "beta", "/local/domain/2"));
        Assert.Equal("", _daemon.Do("destroy", "beta"));
        Assert.Empty(_daemon.List());
    }

    private static (int Status, string Errors) Without((int Status, string Output, string Errors) result)
    {
        Assert.Equal("", result.Output);
        return (result.Status, result.Errors.StartsWith("dbt: there is no xenstore", StringComparison.Ordinal) ? "" : result.Errors);
    }
}
