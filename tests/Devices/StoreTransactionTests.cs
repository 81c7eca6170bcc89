using CsCheck;
using Dbt.Devices.Store;

namespace Dbt.Tests.Devices;

/// <summary>Transactions: isolation, conflicts, rollback.</summary>
public sealed class StoreTransactionTests
{
    private readonly XenStore _store = new();
    private readonly StoreClient _guest;

    public StoreTransactionTests() => _guest = StoreClient.Create(_store, 1);

    [Fact]
    public void AConflictIsRefusedWhole()
    {
        uint transaction = _guest.Start();
        Assert.Equal("OK\0", _guest.Write("a", "1", transaction));
        Assert.Equal("1", _guest.Read("a", transaction));
        Assert.Equal("!ENOENT", _guest.Read("a"));
        Assert.Equal("OK\0", _guest.Write("b", "2"));
        Assert.Equal("!EAGAIN", _guest.End(transaction));
        Assert.Equal("!ENOENT", _guest.Read("a"));
        Assert.Equal("!ENOENT", _guest.End(transaction));
        Assert.Equal("!ENOENT", _guest.Read("b", transaction));
    }

    [Fact]
    public void AReaderSeesOneMoment()
    {
        _guest.Write("a", "1");
        uint transaction = _guest.Start();
        _guest.Write("a", "2");
        Assert.Equal("1", _guest.Read("a", transaction));
        Assert.Equal("a\0", _guest.List("/local/domain/1", transaction));
        Assert.Equal("OK\0", _guest.End(transaction));
    }

    [Fact]
    public void AnAbortLeavesNothing()
    {
        uint transaction = _guest.Start();
        _guest.Write("a/b/c", "1", transaction);
        Assert.Equal("!EINVAL", _guest.Call(StoreMessageType.TransactionEnd, "X\0", transaction));
        Assert.Equal("!EINVAL", _guest.Call(StoreMessageType.TransactionEnd, "T", transaction));
        Assert.Equal("OK\0", _guest.End(transaction, commit: false));
        Assert.Equal("", _guest.List("/local/domain/1"));
        Assert.Equal("!ENOENT", _guest.End(0));
    }

    [Fact]
    public void WatchesFireOnCommitOnceANode()
    {
        _guest.Watch("a", "t");
        _guest.TakeEvents();
        uint transaction = _guest.Start();
        for (int i = 0; i < 5000; i++)
        {
            _guest.Write("a", "v", transaction);
        }

        Assert.Empty(_guest.TakeEvents());
        _guest.End(transaction);
        Assert.Equal([("a", "t")], _guest.TakeEvents());
    }

    [Fact]
    public void TouchesABoundedNumberOfNodes()
    {
        uint transaction = _guest.Start();
        string reply = "";
        int touched = 0;
        for (; touched < 2000 && reply != "!ENOSPC"; touched++)
        {
            reply = _guest.Read($"n{touched}", transaction);
        }

        Assert.Equal(StoreLimits.TransactionNodes, touched); // the home is one of them
        Assert.Equal("!ENOSPC", _guest.Write("a", "", transaction));
        Assert.Equal("!ENOSPC", _guest.End(transaction));
    }

    [Fact]
    public void SeveralTransactionsDoNotOutwitTheNodeQuota()
    {
        for (int i = 0; i < 900; i++)
        {
            Assert.Equal("OK\0", _guest.Mkdir($"p{i % 10}/n{i}"));
        }

        uint first = _guest.Start();
        uint second = _guest.Start();
        for (int i = 0; i < 60; i++)
        {
            Assert.Equal("OK\0", _guest.Mkdir($"p1/a{i}", first));
            Assert.Equal("OK\0", _guest.Mkdir($"p2/b{i}", second));
        }

        Assert.Equal("OK\0", _guest.End(first));
        Assert.Equal("!ENOSPC", _guest.End(second));
    }

    /// <summary>
    /// Two guests' transactions over a few shared paths: one that commits is the same as its operations done at once at its end,
    /// with the same answers; one that doesn't leaves no trace; one that wrote nothing is the same as at its start.
    /// </summary>
    [Fact]
    public void CommittedTransactionsAreSerializable()
    {
        Gen<Step> step = Gen.Select(Gen.Int[0, 3], Gen.Int[0, 7], Gen.Int[0, 4], Gen.Int[0, 9], static (actor, kind, path, value) => new Step(actor, kind, path, value));
        step.Array[1, 60].Sample(
            static steps =>
            {
                var store = new XenStore();
                store.Mkdir("/t");
                store.SetPermissions("/t", new StorePermission(0, StoreAccess.Both));
                var guest = new StoreClient(store.Introduce(1));
                var model = new Dictionary<string, string>();
                var open = new Running?[4];
                foreach (Step s in steps)
                {
                    Running? running = open[s.Actor];
                    if (s.Kind == 0)
                    {
                        if (running is null)
                        {
                            open[s.Actor] = new Running(guest.Start(), new Dictionary<string, string>(model), []);
                        }
                        else if (guest.End(running.Id) == "OK\0")
                        {
                            // Serial at its end, or at its start where it changed nothing.
                            string before = Dump(running.Start);
                            running.Done.ForEach(done => Apply(running.Start, done.Step));
                            bool reader = Dump(running.Start) == before && running.Done.All(static done => done.Step.Kind is not (1 or 2));
                            Dictionary<string, string> state = reader ? running.Start : model;
                            foreach ((Step done, string answer) in running.Done)
                            {
                                Assert.Equal(answer, Apply(state, done));
                            }

                            open[s.Actor] = null;
                        }
                        else
                        {
                            open[s.Actor] = null;
                        }
                    }
                    else if (running is not null)
                    {
                        running.Done.Add((s, Do(guest, s, running.Id)));
                    }
                    else
                    {
                        Assert.Equal(Apply(model, s), Do(guest, s, 0));
                    }

                    Assert.Equal(Dump(model), Dump(store, "/t"));
                }
            },
            iter: 400);
    }

    private static readonly string[] Paths = ["/t/a", "/t/b", "/t/a/x", "/t/a/y", "/t/b/x/z"];

    private static string Do(StoreClient guest, Step s, uint transaction) => s.Kind switch
    {
        1 or 2 => guest.Write(Paths[s.Path], $"{s.Value}", transaction),
        3 => guest.Mkdir(Paths[s.Path], transaction),
        4 => guest.Remove(Paths[s.Path], transaction),
        7 => Sorted(guest.List(Paths[s.Path], transaction)),
        _ => guest.Read(Paths[s.Path], transaction),
    };

    private static string Apply(Dictionary<string, string> model, Step s)
    {
        string path = Paths[s.Path];
        switch (s.Kind)
        {
            case 1 or 2:
                Make(model, path);
                model[path] = $"{s.Value}";
                return "OK\0";
            case 3:
                Make(model, path);
                return "OK\0";
            case 4:
                if (!model.ContainsKey(path))
                {
                    string parent = StorePath.Parent(path);
                    return parent == "/t" || model.ContainsKey(parent) ? "OK\0" : "!ENOENT";
                }

                foreach (string key in model.Keys.Where(key => StorePath.IsAtOrBelow(key, path)).ToList())
                {
                    model.Remove(key);
                }

                return "OK\0";
            case 7:
                return model.ContainsKey(path)
                    ? Sorted(string.Concat(model.Keys.Where(key => StorePath.Parent(key) == path).Select(key => StorePath.Name(key) + "\0")))
                    : "!ENOENT";
            default:
                return model.GetValueOrDefault(path, "!ENOENT");
        }
    }

    // The model's order of children isn't the store's.
    private static string Sorted(string list) => list.StartsWith('!') ? list : string.Concat(list.Split('\0', StringSplitOptions.RemoveEmptyEntries).Order().Select(static name => name + "\0"));

    private static void Make(Dictionary<string, string> model, string path)
    {
        for (string current = path; current != "/t"; current = StorePath.Parent(current))
        {
            model.TryAdd(current, "");
        }
    }

    private static string Dump(Dictionary<string, string> model) =>
        string.Join(' ', model.OrderBy(static pair => pair.Key, StringComparer.Ordinal).Select(static pair => pair.Key + "=" + pair.Value));

    private static string Dump(XenStore store, string root)
    {
        var found = new Dictionary<string, string>();
        var pending = new Stack<string>([root]);
        while (pending.TryPop(out string? path))
        {
            foreach (string name in store.List(path)!)
            {
                string child = StorePath.Child(path, name);
                found.Add(child, store.Read(child)!);
                pending.Push(child);
            }
        }

        return Dump(found);
    }

    private sealed record Step(int Actor, int Kind, int Path, int Value);

    private sealed record Running(uint Id, Dictionary<string, string> Start, List<(Step Step, string Answer)> Done);
}
