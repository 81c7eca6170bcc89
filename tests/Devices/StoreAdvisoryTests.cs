using Dbt.Devices.Store;

namespace Dbt.Tests.Devices;

/// <summary>Xen's advisories on xenstore, each as a guest would try it.</summary>
public sealed class StoreAdvisoryTests
{
    private readonly XenStore _store = new();
    private readonly StoreClient _guest, _other;

    public StoreAdvisoryTests() => (_guest, _other) = (StoreClient.Create(_store, 1), StoreClient.Create(_store, 2));

    [Fact]
    public void XSA_72_a_list_longer_than_a_message_is_refused_and_can_be_had_in_parts()
    {
        for (int i = 0; i < 60; i++)
        {
            _guest.Mkdir($"many/{new string('n', 30)}{i}");
        }

        string reply = _guest.List("many");
        Assert.True(reply.Length <= StoreLimits.Payload, $"a reply of {reply.Length} bytes");
        Assert.True(_guest.Read("many/" + new string('x', 2040)).Length < 100);
    }

    [Fact]
    public void XSA_115_a_watch_tells_nothing_of_what_its_owner_may_not_read()
    {
        _guest.Watch("/local/domain/2", "t");
        _guest.Watch("/", "all");
        _guest.TakeEvents();
        _other.Write("secret/key", "1");
        _store.Write("/tool/hidden", "1");
        _other.Remove("secret");
        Assert.Empty(_guest.TakeEvents());
    }

    [Fact]
    public void XSA_324_an_event_that_would_be_longer_than_a_message_is_refused_when_it_is_asked_for_or_cut_nowhere()
    {
        string token = new('t', 4000);
        string path = "data/" + new string('p', 1500);
        string answer = _guest.Call(StoreMessageType.Watch, $"{path}\0{token}\0"[..Math.Min(4096, path.Length + token.Length + 2)]);
        _guest.Write(path, "1");
        foreach ((string eventPath, string eventToken) in _guest.TakeEvents())
        {
            Assert.True(eventPath.Length + eventToken.Length + 2 <= StoreLimits.Payload, $"an event of {eventPath.Length} and {eventToken.Length} bytes");
        }

        Assert.True(answer is "OK\0" || answer.StartsWith('!'), answer);
    }

    [Fact]
    public void XSA_206_a_guests_transactions_hold_up_nobody_else()
    {
        // Ten that read and write all day, and another's that commits at once.
        uint[] open = [.. Enumerable.Range(0, StoreLimits.Transactions).Select(_ => _guest.Start())];
        for (int round = 0; round < 50; round++)
        {
            foreach (uint transaction in open)
            {
                _guest.Write($"data/{round}", "x", transaction);
                _ = _guest.Read("/local/domain/2/shared", transaction);
            }

            uint mine = _other.Start();
            _other.Write("shared", $"{round}", mine);
            Assert.Equal("OK\0", _other.End(mine));
        }
    }

    [Fact]
    public void XSA_326_what_waits_for_a_guest_that_takes_nothing_is_bounded()
    {
        for (int i = 0; i < StoreLimits.Watches; i++)
        {
            _guest.Watch("data", $"{new string('t', 200)}{i}");
        }

        // Nobody takes the events; each change would be one for each watch.
        for (int i = 0; i < 3000; i++)
        {
            _store.Write($"/local/domain/1/data/n{i % 500}", "v");
        }

        Assert.InRange(_guest.TakeEvents().Sum(static item => item.Path.Length + item.Token.Length), 1, StoreLimits.EventBytes);
    }

    [Fact]
    public void XSA_322_a_domain_that_gets_a_dead_ones_id_has_none_of_its_rights()
    {
        _other.Write("shared", "v");
        _other.Call(StoreMessageType.SetPermissions, "shared\0n2\0b1\0");
        Assert.Equal("v", _guest.Read("/local/domain/2/shared"));
        _store.Release(1);
        var heir = StoreClient.Create(_store, 1);
        Assert.Equal("!EACCES", heir.Read("/local/domain/2/shared"));
        Assert.Equal("!EACCES", heir.Write("/local/domain/2/shared", "w"));
    }

    [Fact]
    public void XSA_419_nodes_of_a_dead_domain_in_anothers_folder_are_nobodys()
    {
        _other.Call(StoreMessageType.SetPermissions, "/local/domain/2\0n2\0b1\0");
        Assert.Equal("OK\0", _guest.Write("/local/domain/2/mine/deep", "x"));
        _store.Release(1);
        Assert.False(_store.Exists("/local/domain/2/mine"));
        _ = StoreClient.Create(_store, 1);
        Assert.Equal("!ENOENT", _other.Read("/local/domain/2/mine/deep"));
    }

    [Fact]
    public void XSA_414_no_path_is_longer_than_it_may_be_by_whichever_way_it_is_named()
    {
        string most = new('a', StoreLimits.RelativePath);
        Assert.Equal("!EINVAL", _guest.Write(most + "a", ""));
        Assert.Equal("!EINVAL", _guest.Watch(most + "a", "t"));
        Assert.Equal("!EINVAL", _guest.Write("/local/domain/1/" + most + "a", ""));
        Assert.Equal("!EINVAL", _guest.Call(StoreMessageType.SetPermissions, most + "a\0n1\0"));
        Assert.Empty(_guest.TakeEvents());
    }

    [Fact]
    public void XSA_415_a_node_that_cannot_be_made_leaves_none_of_its_parents()
    {
        string before = _guest.List("/local/domain/1");
        Assert.Equal("!ENOSPC", _guest.Write("a/b/c/d", new string('x', 3000)));
        Assert.Equal(before, _guest.List("/local/domain/1"));
        uint transaction = _guest.Start();
        Assert.Equal("!ENOSPC", _guest.Write("a/b/c/d", new string('x', 3000), transaction));
        Assert.Equal("OK\0", _guest.End(transaction));
        Assert.Equal(before, _guest.List("/local/domain/1"));
    }

    [Fact]
    public void XSA_416_a_reply_that_is_an_error_costs_nothing_that_stays()
    {
        for (int i = 0; i < 5_000; i++)
        {
            Assert.StartsWith("!", _guest.Write("/local/domain/2/x", new string('y', 1000)), StringComparison.Ordinal);
            Assert.StartsWith("!", _guest.End(77), StringComparison.Ordinal);
        }

        // All that it may have is still there.
        Assert.Empty(_guest.TakeEvents());
        Assert.All(Enumerable.Range(0, StoreLimits.Transactions), _ => Assert.NotEqual(0u, _guest.Start()));
        Assert.All(Enumerable.Range(0, StoreLimits.Watches), i => Assert.Equal("OK\0", _guest.Watch("data", $"t{i}")));
    }

    [Fact]
    public void XSA_417_nodes_below_one_that_is_given_away_count_for_who_made_them_and_go_with_it()
    {
        _guest.Mkdir("given");
        _guest.Call(StoreMessageType.SetPermissions, "given\0n1\0b2\0");
        for (int i = 0; i < 1500; i++)
        {
            if (_other.Mkdir($"/local/domain/1/given/n{i % 40}/m{i}") != "OK\0")
            {
                break;
            }
        }

        Assert.Equal("!ENOSPC", _other.Mkdir("/local/domain/2/one/more"));
        Assert.Equal("OK\0", _guest.Mkdir("own"));
        Assert.Equal("OK\0", _guest.Remove("given"));
        Assert.Equal("OK\0", _other.Mkdir("/local/domain/2/one/more"));
    }

    [Fact]
    public void XSA_418_the_deepest_tree_there_can_be_is_removed_without_recursion()
    {
        // As deep as paths are long, on a thread with little stack.
        string deep = string.Concat(Enumerable.Repeat("d/", 900)) + "d";
        Assert.Equal("OK\0", _guest.Write(deep, "1"));
        string removed = "", released = "";
        var thread = new Thread(
            () =>
            {
                removed = _guest.Remove("d");
                _guest.Write(deep, "1");
                _store.Release(1);
                released = "OK";
            },
            maxStackSize: 128 << 10);
        thread.Start();
        Assert.True(thread.Join(TimeSpan.FromSeconds(60)));
        Assert.Equal(("OK\0", "OK"), (removed, released));
        Assert.False(_store.Exists("/local/domain/1"));
    }

    [Fact]
    public void XSA_421_nodes_made_and_removed_within_transactions_count_once_or_not_at_all()
    {
        for (int i = 0; i < 400; i++)
        {
            uint transaction = _guest.Start();
            for (int node = 0; node < 20; node++)
            {
                _guest.Mkdir($"t{node}", transaction);
            }

            _guest.Remove("t0", transaction);
            _guest.Mkdir("t0", transaction);
            for (int node = 0; node < 20; node++)
            {
                _guest.Remove($"t{node}", transaction);
            }

            Assert.Equal("OK\0", _guest.End(transaction, commit: i % 2 == 0));
        }

        // The whole quota is still there.
        int made = 0;
        while (_guest.Mkdir($"q{made % 40}/n{made}") == "OK\0")
        {
            made++;
        }

        Assert.InRange(made, StoreLimits.Nodes - 45, StoreLimits.Nodes);
    }
}
