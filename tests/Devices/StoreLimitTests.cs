using Dbt.Devices.Store;

namespace Dbt.Tests.Devices;

/// <summary>What one guest may ask of the store, each limit at its edge, and what it costs nobody else.</summary>
public sealed class StoreLimitTests
{
    private readonly XenStore _store = new();
    private readonly StoreClient _guest, _other;

    public StoreLimitTests()
    {
        _guest = Add(1);
        _other = Add(2);
    }

    [Fact]
    public void TheNumbersAreThoseOfXen() => Assert.Equal(
        (4096, 3072, 2048, 1000, 128, 10, 1024, 2048, 20),
        (StoreLimits.Payload, StoreLimits.AbsolutePath, StoreLimits.RelativePath, StoreLimits.Nodes, StoreLimits.Watches, StoreLimits.Transactions,
            StoreLimits.TransactionNodes, StoreLimits.NodeSize, StoreLimits.OutstandingReplies));

    [Fact]
    public void XSA_115_324_a_guest_at_all_its_limits_takes_nothing_from_another()
    {
        for (int i = 0; i < StoreLimits.Watches; i++)
        {
            Assert.Equal("OK\0", _guest.Watch("data", $"t{i}"));
        }

        string reply = "OK\0";
        for (int i = 0; reply == "OK\0"; i++)
        {
            reply = _guest.Mkdir($"d{i % 40}/n{i}");
        }

        Assert.Equal("!ENOSPC", reply);
        for (int i = 0; i < StoreLimits.Transactions; i++)
        {
            _guest.Start();
        }

        Assert.Equal("!E2BIG", _guest.Watch("data", "more"));
        Assert.Equal("!ENOSPC", _guest.Call(StoreMessageType.TransactionStart, "\0"));
        Assert.Equal("OK\0", _other.Watch("data", "t"));
        uint transaction = _other.Start();
        Assert.Equal("OK\0", _other.Write("x", "1", transaction));
        Assert.Equal("OK\0", _other.End(transaction));
        Assert.Equal("1", _store.Read("/local/domain/2/x"));
    }

    [Fact]
    public void XSA_206_a_transaction_that_never_ends_holds_nobody_up()
    {
        _store.Write("/local/domain/1/shared", "0");
        uint stuck = _guest.Start();
        Assert.Equal("0", _guest.Read("shared", stuck));
        Assert.Equal("OK\0", _guest.Write("shared", "mine", stuck));
        for (int i = 0; i < 100; i++)
        {
            // Others commit at once, again and again, over the very node.
            Assert.Equal(StoreError.None, _store.Transact(batch => batch.Write("/local/domain/1/shared", "1"u8)));
            uint transaction = _other.Start();
            Assert.Equal("OK\0", _other.Write("count", i.ToString(System.Globalization.CultureInfo.InvariantCulture), transaction));
            Assert.Equal("OK\0", _other.End(transaction));
        }

        Assert.Equal("!EAGAIN", _guest.End(stuck));
        Assert.Equal("1", _guest.Read("shared"));
    }

    [Fact]
    public void AConflictIsWithThoseWhoTouchedTheSameNodesOnly()
    {
        _guest.Write("a", "1");
        _guest.Write("b", "1");
        uint first = _guest.Start(), second = _guest.Start(), third = _guest.Start();
        Assert.Equal("1", _guest.Read("a", first));
        _guest.Write("b", "first", first);
        Assert.Equal("1", _guest.Read("a", second));
        _guest.Write("a", "second", second);
        Assert.Equal("1", _guest.Read("b", third));
        Assert.Equal("OK\0", _guest.End(second));
        Assert.Equal("!EAGAIN", _guest.End(first));
        Assert.Equal("OK\0", _guest.End(third));
        Assert.Equal(("second", "1"), (_guest.Read("a"), _guest.Read("b")));
    }

    [Fact]
    public void XSA_322_a_node_of_a_domain_that_is_gone_is_not_its_successors()
    {
        _store.Write("/shared", "");
        _store.SetPermissions("/shared", new StorePermission(0, StoreAccess.None), new StorePermission(1, StoreAccess.Both));
        Assert.Equal("OK\0", _guest.Write("/shared/secret", "of the first"));
        Assert.Equal("OK\0", _guest.Call(StoreMessageType.SetPermissions, "/shared/secret\0n1\0"));
        _store.Release(1);
        StoreClient successor = Add(1);
        Assert.Equal("!EACCES", successor.Read("/shared"));
        Assert.Equal("!EACCES", successor.Read("/shared/secret"));
        Assert.False(_store.Exists("/shared/secret"));
    }

    [Fact]
    public void AnAdministratorIsHeldUpByNoQuotaAndHidesNothingFromIt()
    {
        string reply = "OK\0";
        for (int i = 0; reply == "OK\0"; i++)
        {
            reply = _guest.Mkdir($"d{i % 40}/n{i}");
        }

        // What is made below a guest's node is the guest's, and counts.
        Assert.Equal(StoreError.None, _store.Transact(batch => batch.Write("/local/domain/1/admin/note", "x"u8)));
        Assert.Equal(1, _store.GetPermissions("/local/domain/1/admin/note")![0].DomainId);
        Assert.Equal("OK\0", _guest.Remove("d1"));
        Assert.Equal("OK\0", _guest.Mkdir("again"));
    }

    private StoreClient Add(ushort domain)
    {
        string home = StorePath.Home(domain);
        _store.Mkdir(home);
        _store.SetPermissions(home, new StorePermission(domain, StoreAccess.None));
        return new StoreClient(_store.Introduce(domain));
    }
}
