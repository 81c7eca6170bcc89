using System.Text;
using Dbt.Devices.Store;

namespace Dbt.Tests.Devices;

/// <summary>What an administrator does to the store in one piece.</summary>
public sealed class StoreBatchTests
{
    private readonly XenStore _store = new();

    [Fact]
    public void ARefusedOperationLeavesNothingOfThoseBeforeIt()
    {
        var seen = new List<string>();
        using IDisposable watch = _store.Watch("/a", seen.Add);
        seen.Clear();
        StoreError error = _store.Transact(batch => Write(batch, "/a/b", "1") is var first and not StoreError.None ? first : batch.Read("/a/missing", out _));
        Assert.Equal(StoreError.ENOENT, error);
        Assert.False(_store.Exists("/a"));
        Assert.Empty(seen);

        Assert.Equal(StoreError.None, _store.Transact(batch => Write(batch, "/a/b", "1") is var first and not StoreError.None ? first : Write(batch, "/a/c", "2")));
        Assert.Equal(["b", "c"], _store.List("/a"));
        Assert.Equal(["/a/b", "/a/c"], seen);
    }

    [Fact]
    public void LaterOperationsSeeEarlierOnes()
    {
        byte[] value = [];
        Assert.Equal(StoreError.None, _store.Transact(batch => Write(batch, "/a", "new") is var first and not StoreError.None ? first : batch.Read("/a", out value)));
        Assert.Equal("new", Encoding.ASCII.GetString(value));
    }

    [Theory]
    [InlineData("", StoreError.EINVAL)]
    [InlineData("//", StoreError.EINVAL)]
    [InlineData("/a/", StoreError.EINVAL)]
    [InlineData("/a b", StoreError.EINVAL)]
    [InlineData("/gr\u00fcn", StoreError.EINVAL)]
    [InlineData("/\u20ac", StoreError.EINVAL)]
    [InlineData("@releaseDomain", StoreError.ENOENT)]
    [InlineData("/missing", StoreError.ENOENT)]
    [InlineData("missing", StoreError.ENOENT)]
    [InlineData("name", StoreError.None)]
    [InlineData("/", StoreError.None)]
    public void AnyTextMayBeGivenAsAPath(string path, StoreError expected)
    {
        Assert.Equal(expected, _store.Transact(batch => batch.Read(path, out _)));
        Assert.Equal(expected, _store.Transact(batch => batch.List(path, out _)));
        Assert.Equal(expected, _store.Transact(batch => batch.GetPermissions(path, out _)));
        Assert.Equal(expected, _store.Transact(batch => batch.Tree(path, out _)));
        Assert.Equal(expected, _store.Transact(batch => batch.SetPermissions(path, [new StorePermission(0, StoreAccess.Read)], above: false, below: false)));
        StoreError written = _store.Transact(batch => Write(batch, path, "x"));
        Assert.Equal(expected == StoreError.EINVAL ? StoreError.EINVAL : StoreError.None, written);
    }

    [Fact]
    public void AValueIsAsLongAsAMessageCanBe()
    {
        int room = StoreLimits.Payload - "/v".Length - 1;
        Assert.Equal(StoreError.None, _store.Transact(batch => batch.Write("/v", new byte[room])));
        Assert.Equal(StoreError.E2BIG, _store.Transact(batch => batch.Write("/v", new byte[room + 1])));
        Assert.Equal(room, _store.ReadBytes("/v")!.Length);
    }

    [Fact]
    public void TidyingStopsAtWhatIsInUse()
    {
        _store.Write("/keep", "value");
        _store.Mkdir("/keep/a/b/c");
        _store.Mkdir("/keep/a/other");
        Assert.Equal(StoreError.None, _store.Transact(batch => batch.Remove("/keep/a/b/c", tidy: true)));
        Assert.Equal(["other"], _store.List("/keep/a"));
        Assert.Equal(StoreError.None, _store.Transact(batch => batch.Remove("/keep/a/other", tidy: true)));
        Assert.Empty(_store.List("/keep")!);
        Assert.Equal(StoreError.None, _store.Transact(batch => batch.Remove("/keep", tidy: true)));
        Assert.Equal(StoreError.EINVAL, _store.Transact(batch => batch.Remove("/", tidy: true)));
        Assert.Equal(StoreError.ENOENT, _store.Transact(batch => batch.Remove("/keep/gone", tidy: true)));
        Assert.True(_store.Exists("/tool"));
    }

    [Fact]
    public void PermissionsGoUpAndDownAsAsked()
    {
        _store.Mkdir("/a/b/c/d");
        _store.Mkdir("/a/x");
        StorePermission owner = new(3, StoreAccess.None), reader = new(4, StoreAccess.Read);
        Assert.Equal(StoreError.None, _store.Transact(batch => batch.SetPermissions("/a/b", [owner, reader], above: true, below: true)));
        foreach ((string path, bool changed) in ((string, bool)[])[("/", false), ("/a", true), ("/a/x", false), ("/a/b", true), ("/a/b/c", true), ("/a/b/c/d", true)])
        {
            Assert.Equal(changed, _store.GetPermissions(path)!.SequenceEqual([owner, reader]));
        }

        Assert.Equal(StoreError.EINVAL, _store.Transact(batch => batch.SetPermissions("/a", [], above: false, below: false)));
    }

    [Fact]
    public void ATreeIsWhatTheStoreWasAtOneMoment()
    {
        _store.Write("/a/first/deep", "1");
        _store.Write("/a/second", "2");
        IEnumerable<StoreEntry> tree = [];
        Assert.Equal(StoreError.None, _store.Transact(batch => batch.Tree("/a", out tree)));
        _store.Remove("/a");
        Assert.Equal(["/a", "/a/first", "/a/first/deep", "/a/second"], tree.Select(node => node.Path));
        Assert.Equal(["", "", "1", "2"], tree.Select(node => Encoding.ASCII.GetString(node.Value.Span)));
    }

    private static StoreError Write(StoreBatch batch, string path, string value) => batch.Write(path, Encoding.UTF8.GetBytes(value));
}
