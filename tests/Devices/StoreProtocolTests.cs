using Dbt.Devices.Store;

namespace Dbt.Tests.Devices;

/// <summary>What each xenstore request means, with good and hostile arguments.</summary>
public sealed class StoreProtocolTests
{
    private readonly XenStore _store = new();
    private readonly StoreClient _guest;
    private readonly StoreClient _other;

    public StoreProtocolTests()
    {
        _guest = StoreClient.Create(_store, 1);
        _other = StoreClient.Create(_store, 2);
    }

    [Fact]
    public void WritesReadsAndLists()
    {
        Assert.Equal("OK\0", _guest.Write("data/a", "one"));
        Assert.Equal("one", _guest.Read("data/a"));
        Assert.Equal("one", _guest.Read("/local/domain/1/data/a"));
        Assert.Equal("", _guest.Read("data"));
        Assert.Equal("OK\0", _guest.Mkdir("data/b"));
        Assert.Equal("OK\0", _guest.Mkdir("data/b"));
        Assert.Equal("a\0b\0", _guest.List("data"));
        Assert.Equal("", _guest.List("data/a"));
        Assert.Equal("OK\0", _guest.Remove("data/a"));
        Assert.Equal("OK\0", _guest.Remove("data/a"));
        Assert.Equal("!ENOENT", _guest.Remove("none/below"));
        Assert.Equal("!ENOENT", _guest.Read("data/a"));
        Assert.Equal("b\0", _guest.List("data"));
        Assert.Equal("one", Set("data/c", "one"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("\0")]
    [InlineData("data")]
    [InlineData("data\0more\0")]
    [InlineData("data/\0")]
    [InlineData("//data\0")]
    [InlineData("/\0\0")]
    [InlineData("da ta\0")]
    [InlineData("da.ta\0")]
    [InlineData("d\u00e4ta\0")]
    [InlineData("@introduceDomain\0")]
    public void RefusesMalformedPaths(string payload)
    {
        string expected = payload == "@introduceDomain\0" ? "!ENOENT" : "!EINVAL";
        Assert.Equal(expected, _guest.Call(StoreMessageType.Read, payload));
        Assert.StartsWith("!E", _guest.Call(StoreMessageType.Directory, payload), StringComparison.Ordinal);
        Assert.StartsWith("!E", _guest.Call(StoreMessageType.GetPermissions, payload), StringComparison.Ordinal);
    }

    [Fact]
    public void BoundsPathsByLength()
    {
        Assert.Equal("!EINVAL", _guest.Read(new string('a', 2049)));
        Assert.Equal("!ENOENT", _guest.Read(new string('a', 2048)));
        Assert.Equal("!EINVAL", _guest.Read("/local/domain/1/" + new string('a', 2049)));
        Assert.Equal("!ENOENT", _guest.Read("/local/domain/1/" + new string('a', 2048)));
        Assert.Equal("!EINVAL", _guest.Read("/" + new string('a', 4090)));
    }

    [Fact]
    public void KeepsGuestsOutOfWhatIsNotTheirs()
    {
        _store.Write("/secret/x", "s");
        Assert.Equal("!EACCES", _guest.Read("/secret/x"));
        Assert.Equal("!EACCES", _guest.Read("/secret/absent"));
        Assert.Equal("!EACCES", _guest.Write("/secret/y", ""));
        Assert.Equal("!EACCES", _guest.Remove("/secret"));
        Assert.Equal("!EACCES", _guest.Remove("/"));
        Assert.Equal("!EACCES", _guest.List("/"));
        Assert.Equal("!EACCES", _guest.Write("/local/domain/2/data", ""));
        Assert.Equal("OK\0", _other.Write("shared", "v"));
        Assert.Equal("!EACCES", _guest.Read("/local/domain/2/shared"));
        Assert.Equal("OK\0", _other.Call(StoreMessageType.SetPermissions, "shared\0n2\0r1\0"));
        Assert.Equal("v", _guest.Read("/local/domain/2/shared"));
        Assert.Equal("n2\0r1\0", _guest.Call(StoreMessageType.GetPermissions, "/local/domain/2/shared\0"));
        Assert.Equal("!EACCES", _guest.Write("/local/domain/2/shared", "w"));
        Assert.Equal("!EACCES", _guest.Call(StoreMessageType.SetPermissions, "/local/domain/2/shared\0b1\0"));
        Assert.Equal("OK\0", _other.Call(StoreMessageType.SetPermissions, "shared\0b2\0"));
        Assert.Equal("OK\0", _guest.Write("/local/domain/2/shared/child", "w"));
        Assert.Equal("b1\0", _guest.Call(StoreMessageType.GetPermissions, "/local/domain/2/shared/child\0"));
    }

    [Theory]
    [InlineData("data\0", "!EINVAL")]
    [InlineData("data\0x1\0", "!EINVAL")]
    [InlineData("data\0r\0", "!EINVAL")]
    [InlineData("data\0r65536\0", "!EINVAL")]
    [InlineData("data\0r-1\0", "!EINVAL")]
    [InlineData("data\0r1", "!EINVAL")]
    [InlineData("data\0n2\0", "!EPERM")]
    [InlineData("data\0n1\0r2\0r3\0r4\0r5\0r6\0", "!ENOSPC")]
    [InlineData("none\0n1\0", "!ENOENT")]
    [InlineData("data\0w1\0b2\0", "OK\0")]
    public void ChecksPermissionChanges(string payload, string expected)
    {
        _guest.Mkdir("data");
        Assert.Equal(expected, _guest.Call(StoreMessageType.SetPermissions, payload));
    }

    [Theory]
    [InlineData(0, "!EACCES")]
    [InlineData(8, "!EACCES")]
    [InlineData(9, "!EACCES")]
    [InlineData(18, "!EACCES")]
    [InlineData(19, "!EACCES")]
    [InlineData(15, "!ENOSYS")]
    [InlineData(16, "!ENOSYS")]
    [InlineData(20, "!ENOSYS")]
    [InlineData(23, "!ENOSYS")]
    [InlineData(0xFFFF, "!ENOSYS")]
    public void RefusesWhatIsNotForGuests(uint type, string expected)
    {
        _guest.Session.Handle(new StoreHeader((StoreMessageType)type, 7, 0, 0), "1\01\01\0"u8);
        Assert.True(_guest.Session.Outbox.TryTake(out byte[] message));
        Assert.Equal(expected, "!" + System.Text.Encoding.Latin1.GetString(message.AsSpan(16)).TrimEnd('\0'));
    }

    [Fact]
    public void TellsOfDomains()
    {
        Assert.Equal("/local/domain/7\0", _guest.Call(StoreMessageType.GetDomainPath, "7\0"));
        Assert.Equal("!EINVAL", _guest.Call(StoreMessageType.GetDomainPath, "seven\0"));
        Assert.Equal("T\0", _guest.Call(StoreMessageType.IsDomainIntroduced, "2\0"));
        Assert.Equal("F\0", _guest.Call(StoreMessageType.IsDomainIntroduced, "3\0"));
        Assert.Equal("!EINVAL", _guest.Call(StoreMessageType.IsDomainIntroduced, "99999\0"));
    }

    [Fact]
    public void FiresWatchesAtOnceAndOnChangesBelow()
    {
        Assert.Equal("OK\0", _guest.Watch("data", "t"));
        Assert.Equal([("data", "t")], _guest.TakeEvents());
        _store.Write("/local/domain/1/data/x/y", "1");
        Assert.Equal([("data/x/y", "t")], _guest.TakeEvents());
        Assert.Equal("!EEXIST", _guest.Watch("/local/domain/1/data", "t"));
        Assert.Equal("OK\0", _guest.Watch("/local/domain/1/data/x/y", "u"));
        _guest.TakeEvents();
        _guest.Remove("data");
        Assert.Equal([("data", "t"), ("/local/domain/1/data/x/y", "u")], _guest.TakeEvents());
        Assert.Equal("OK\0", _guest.Call(StoreMessageType.Unwatch, "data\0t\0"));
        Assert.Equal("!ENOENT", _guest.Call(StoreMessageType.Unwatch, "data\0t\0"));
        Assert.Equal("!EINVAL", _guest.Call(StoreMessageType.Unwatch, "data\0t"));
        Assert.Equal("OK\0", _guest.Call(StoreMessageType.ResetWatches, "\0"));
        _guest.Write("data/x/y", "2");
        Assert.Empty(_guest.TakeEvents());
    }

    [Fact]
    public void WatchesTellNothingOfUnreadableNodes()
    {
        Assert.Equal("OK\0", _guest.Watch("/", "all"));
        Assert.Equal("OK\0", _guest.Watch("@introduceDomain", "dom"));
        Assert.Equal([("/", "all"), ("@introduceDomain", "dom")], _guest.TakeEvents());
        _other.Write("hidden", "1");
        _other.Remove("hidden");
        _store.Write("/local/domain/0/x", "1");
        StoreClient.Create(_store, 3);
        Assert.Empty(_guest.TakeEvents());
        _other.Write("open", "1");
        _other.Call(StoreMessageType.SetPermissions, "open\0n2\0r1\0");
        _other.Write("open", "2");
        Assert.Equal([("/local/domain/2/open", "all")], _guest.TakeEvents());
        _other.Remove("open");
        Assert.Equal([("/local/domain/2/open", "all")], _guest.TakeEvents());
    }

    [Fact]
    public void WaitingEventsAreNotRepeated()
    {
        _guest.Watch("data", "t");
        _guest.TakeEvents();
        for (int i = 0; i < 1000; i++)
        {
            _store.Write("/local/domain/1/data", i.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }

        Assert.Equal([("data", "t")], _guest.TakeEvents());
    }

    [Fact]
    public void QuotasHold()
    {
        for (int i = 0; i < StoreLimits.Watches; i++)
        {
            Assert.Equal("OK\0", _guest.Watch("data", $"t{i}"));
        }

        Assert.Equal("!E2BIG", _guest.Watch("data", "more"));
        _guest.TakeEvents();
        _guest.Call(StoreMessageType.ResetWatches, "\0");
        for (int i = 0; i < StoreLimits.Transactions; i++)
        {
            _guest.Start();
        }

        Assert.Equal("!ENOSPC", _guest.Call(StoreMessageType.TransactionStart, "\0"));
        Assert.Equal("OK\0", _guest.End(1, commit: false));
        uint transaction = _guest.Start();
        Assert.Equal("!EBUSY", _guest.Call(StoreMessageType.TransactionStart, "\0", transaction));

        Assert.Equal("!ENOSPC", _guest.Write("large", new string('x', 2048)));
        Assert.Equal("!ENOENT", _guest.Read("large"));
        int made = 1; // the home
        string reply = "OK\0";
        for (; made < 2000 && reply == "OK\0"; made++)
        {
            reply = _guest.Mkdir($"d{made % 50}/n{made}");
        }

        Assert.Equal("!ENOSPC", reply);
        int owned = CountOwned("/local/domain/1");
        Assert.Equal(StoreLimits.Nodes, owned);
        Assert.Equal("!ENOSPC", _guest.Write("a/b", "", transaction));
        _guest.Remove("d1");
        Assert.Equal("OK\0", _guest.Mkdir("again"));
    }

    [Fact]
    public void OneNodesChildrenAreBounded()
    {
        string reply = "OK\0";
        int made = 0;
        for (; made < 1000 && reply == "OK\0"; made++)
        {
            reply = _guest.Mkdir($"p/{made}-{new string('x', 100)}");
        }

        Assert.Equal("!ENOSPC", reply);
        Assert.InRange(made, 15, 25);
    }

    [Fact]
    public void ListsInParts()
    {
        for (int i = 0; i < 600; i++)
        {
            _store.Write($"/local/domain/1/many/node-{i}", "");
        }

        Assert.Equal("!E2BIG", _guest.List("many"));
        var names = new List<string>();
        int offset = 0;
        string generation = "";
        while (true)
        {
            string[] parts = _guest.Call(StoreMessageType.DirectoryPart, $"many\0{offset}\0").Split('\0');
            Assert.True(generation is "" || generation == parts[0]);
            generation = parts[0];
            string[] page = parts[1..^1];
            names.AddRange(page.Where(name => name.Length > 0));
            offset += page.Sum(name => name.Length > 0 ? name.Length + 1 : 0);
            if (page[^1].Length == 0)
            {
                break;
            }
        }

        Assert.Equal(Enumerable.Range(0, 600).Select(i => $"node-{i}"), names);
        Assert.Equal("!EINVAL", _guest.Call(StoreMessageType.DirectoryPart, "many\0-1\0"));
        Assert.Equal("!EINVAL", _guest.Call(StoreMessageType.DirectoryPart, "many\0"));
        Assert.Equal($"{generation}\0\0", _guest.Call(StoreMessageType.DirectoryPart, "many\0" + int.MaxValue + "\0"));
    }

    [Fact]
    public void AGoneDomainLeavesNothing()
    {
        _guest.Write("data", "x");
        _other.Write("open", "1");
        _other.Call(StoreMessageType.SetPermissions, "open\0n2\0b1\0");
        _other.Call(StoreMessageType.SetPermissions, "/local/domain/2\0n2\0b1\0");
        _guest.Write("/local/domain/2/mine", "left behind");
        var released = new List<string>();
        using IDisposable watch = _store.Watch("@releaseDomain", released.Add);
        _store.Release(1);
        Assert.Equal(["@releaseDomain", "@releaseDomain"], released);
        Assert.False(_store.Exists("/local/domain/1"));
        Assert.False(_store.Exists("/local/domain/2/mine"));
        Assert.Equal("n2\0", _other.Call(StoreMessageType.GetPermissions, "open\0"));
        Assert.Equal("open\0", _other.List("/local/domain/2"));
    }

    private string Set(string path, string value)
    {
        _guest.Write(path, value);
        return _store.Read("/local/domain/1/" + path) ?? "";
    }

    private int CountOwned(string path) =>
        (_store.GetPermissions(path)![0].DomainId == 1 ? 1 : 0) + _store.List(path)!.Sum(name => CountOwned(StorePath.Child(path, name)));
}
