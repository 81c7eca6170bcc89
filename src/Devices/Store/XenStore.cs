using System.Collections.Immutable;
using System.Text;

namespace Dbt.Devices.Store;

/// <summary>
/// xenstore: a tree of small values that guests, back ends and the toolstack configure one another with. This class is the store and its
/// use from within this process, as domain 0, which may do everything. Guests come in through their ring. Thread-safe.
/// Paths are absolute; one that isn't well-formed is the caller's bug (<see cref="ArgumentException"/>).
/// </summary>
public sealed partial class XenStore
{
    private readonly Lock _lock = new();
    private readonly LiveSpace _live = new();
    private readonly List<StoreWatch> _watches = [];
    private readonly Dictionary<ushort, StoreSession> _sessions = [];

    /// <summary>Makes a store with what Xen's has at the start: the root, <c>/tool</c>, <c>/local/domain/0</c>, <c>/vm</c>.</summary>
    public XenStore()
    {
        ImmutableArray<StorePermission> ownerOnly = [new StorePermission(0, StoreAccess.None)];
        _live.Put("/", new StoreNode([], ownerOnly, [], _live.NextGeneration()));
        Mkdir("/tool/xenstored");
        Mkdir("/local/domain/0");
        Mkdir("/vm");
        Mkdir("/libxl");
        Write("/local/domain/0/name", "Domain-0");
        Write("/local/domain/0/domid", "0");
    }

    /// <summary>The value of a node as bytes; null where there is none.</summary>
    public byte[]? ReadBytes(string path)
    {
        lock (_lock)
        {
            return _live.Get(Check(path))?.Value;
        }
    }

    /// <summary>The value of a node as text; null where there is none. Guests may write bytes that are no text; those become U+FFFD.</summary>
    public string? Read(string path) => ReadBytes(path) is { } value ? Encoding.UTF8.GetString(value) : null;

    /// <summary>Whether there is a node.</summary>
    public bool Exists(string path) => ReadBytes(path) is not null;

    /// <summary>Writes a value, making the node and its missing parents.</summary>
    public void Write(string path, string value)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(value);
        Change(space => NodeOperations.Write(space, 0, Check(path), bytes));
    }

    /// <summary>Makes an empty node unless there is one.</summary>
    public void Mkdir(string path) => Change(space => NodeOperations.MakeDirectory(space, 0, Check(path)));

    /// <summary>Removes a node with everything below it.</summary>
    /// <returns>Whether there was one.</returns>
    public bool Remove(string path)
    {
        bool existed = Exists(path);
        Change(space => NodeOperations.Remove(space, 0, Check(path)));
        return existed;
    }

    /// <summary>The names of a node's children, in the order in which they were made; null where there is no node.</summary>
    public IReadOnlyList<string>? List(string path)
    {
        lock (_lock)
        {
            return _live.Get(Check(path))?.Children;
        }
    }

    /// <summary>A node's permissions, the owner's entry first; null where there is no node.</summary>
    public IReadOnlyList<StorePermission>? GetPermissions(string path)
    {
        lock (_lock)
        {
            return _live.Get(Check(path))?.Permissions;
        }
    }

    /// <summary>Replaces a node's permissions; the first entry names the owner.</summary>
    public void SetPermissions(string path, params ReadOnlySpan<StorePermission> permissions)
    {
        ImmutableArray<StorePermission> copy = [.. permissions];
        ArgumentOutOfRangeException.ThrowIfZero(copy.Length, nameof(permissions));
        Change(space => NodeOperations.SetPermissions(space, 0, Check(path), copy));
    }

    /// <summary>Does several things at one moment, as domain 0: all of them or, where the work returns an error, none.</summary>
    /// <param name="work">Called once, under the store's lock: it must not come back to the store but by what it is given.</param>
    /// <returns>What the work returned.</returns>
    public StoreError Transact(Func<StoreBatch, StoreError> work) => Locked(live =>
    {
        var transaction = new StoreTransaction(live, limited: false);
        StoreError error = work(new StoreBatch(transaction));
        return error == StoreError.None ? transaction.Commit(int.MaxValue) : error;
    });

    /// <summary>
    /// Calls back for each change at or below a path, or for <c>@introduceDomain</c> and <c>@releaseDomain</c>, and once at once.
    /// The callback gets the path that changed, on the changer's thread and outside the store's lock; several may run at a time, so it
    /// has to read anew what it is interested in.
    /// </summary>
    /// <returns>Dispose to end the watch; a callback that is under way may still finish after that.</returns>
    public IDisposable Watch(string path, Action<string> callback)
    {
        var watch = new LocalWatch(path.StartsWith('@') ? path : Check(path), callback);
        lock (_lock)
        {
            _watches.Add(watch);
        }

        callback(path);
        return new Registration(this, watch);
    }

    /// <summary>Whether a text is something that can be watched: an absolute path, or a special name.</summary>
    public static bool CanWatch(string path) => path is "@introduceDomain" or "@releaseDomain" || StorePath.IsValid(path);

    /// <summary>Lets a guest in. Fires <c>@introduceDomain</c>.</summary>
    internal StoreSession Introduce(ushort domain) => Introduce(new StoreNames(domain, domain));

    /// <summary>Lets a guest in that may take itself for another domain.</summary>
    internal StoreSession Introduce(StoreNames names)
    {
        var session = new StoreSession(this, names);
        lock (_lock)
        {
            _sessions.Add(names.Real, session);
        }

        FireSpecial("@introduceDomain");
        return session;
    }

    /// <summary>Tells watchers that a domain stopped or went away.</summary>
    internal void FireRelease() => FireSpecial("@releaseDomain");

    /// <summary>
    /// Ends a guest's session: its watches, its transactions, all nodes it owns, and what others' permissions say of its id, so that a
    /// later domain with that id inherits nothing. Fires <c>@releaseDomain</c>.
    /// </summary>
    internal void Release(ushort domain)
    {
        lock (_lock)
        {
            if (!_sessions.Remove(domain, out StoreSession? session))
            {
                return;
            }

            session.Reset();
        }

        Change(space => Forget(space, domain));
        FireRelease();
    }

    /// <summary>Whether a domain was introduced.</summary>
    internal bool IsIntroduced(ushort domain)
    {
        lock (_lock)
        {
            return domain == 0 || _sessions.ContainsKey(domain);
        }
    }

    /// <summary>Runs a guest's request under the store's lock, then calls the watches' callbacks.</summary>
    internal TResult Locked<TResult>(Func<LiveSpace, TResult> action)
    {
        List<Action>? calls;
        TResult result;
        lock (_lock)
        {
            result = action(_live);
            calls = FireChanges();
        }

        calls?.ForEach(static call => call());
        return result;
    }

    /// <summary>Adds a watch. Call within <see cref="Locked"/>.</summary>
    internal void AddWatch(StoreWatch watch) => _watches.Add(watch);

    /// <summary>Removes a watch. Call within <see cref="Locked"/>.</summary>
    internal void RemoveWatch(StoreWatch watch) => _watches.Remove(watch);

    private static string Check(string path) =>
        StorePath.IsValid(path) ? path : throw new ArgumentException($"'{path}' is not a xenstore path", nameof(path));

    private static StoreError Forget(LiveSpace space, ushort domain)
    {
        foreach ((string path, _) in space.Nodes)
        {
            // Some may have gone with a parent.
            StoreNode? node = space.Get(path);
            if (node is null)
            {
                continue;
            }

            if (node.Owner == domain)
            {
                NodeOperations.Remove(space, 0, path);
            }
            else if (node.Permissions.Any(permission => permission.DomainId == domain))
            {
                NodeOperations.SetPermissions(space, 0, path, node.Permissions.RemoveAll(permission => permission.DomainId == domain));
            }
        }

        return StoreError.None;
    }

    private void Change(Func<LiveSpace, StoreError> operation)
    {
        StoreError error = Locked(operation);
        if (error is not (StoreError.None or StoreError.ENOENT))
        {
            throw new InvalidOperationException($"xenstore refused domain 0: {error}");
        }
    }

    private void FireSpecial(string name) => Locked(space =>
    {
        space.Changed(new StoreChange(name, true, null, null, null));
        return true;
    });

    private List<Action>? FireChanges()
    {
        List<Action>? calls = null;
        foreach (StoreChange change in _live.Changes)
        {
            foreach (StoreWatch watch in _watches)
            {
                if (watch.Matches(change) && watch.Fire(change.Path) is { } call)
                {
                    (calls ??= []).Add(call);
                }
            }
        }

        _live.Changes.Clear();
        return calls;
    }

    private sealed class Registration(XenStore store, StoreWatch watch) : IDisposable
    {
        public void Dispose() => store.Locked(_ =>
        {
            store.RemoveWatch(watch);
            return true;
        });
    }
}
