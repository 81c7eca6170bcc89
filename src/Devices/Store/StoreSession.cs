using System.Collections.Immutable;
using System.Globalization;
using System.Text;

namespace Dbt.Devices.Store;

/// <summary>
/// One guest's dealings with the store: its watches, transactions and waiting replies, and the meaning of each message
/// (public/io/xs_wire.h; docs of Xen, xenstore.txt). Requests come one at a time.
/// </summary>
internal sealed partial class StoreSession(XenStore store, StoreNames names)
{
    private static readonly byte[] Ok = "OK\0"u8.ToArray();
    private readonly Dictionary<uint, StoreTransaction> _transactions = [];
    private readonly List<GuestWatch> _watches = [];
    private uint _lastTransaction;

    private readonly ushort domain = names.Real;

    /// <summary>The guest.</summary>
    public ushort Domain => domain;

    /// <summary>Messages for the guest.</summary>
    public StoreOutbox Outbox { get; } = new();

    /// <summary>Carries out one request and queues its reply.</summary>
    public void Handle(StoreHeader header, ReadOnlySpan<byte> payload)
    {
        byte[] copy = payload.ToArray();
        store.Locked(live =>
        {
            var first = new List<StoreWatch>();
            StoreError error = Dispatch(live, header, copy, out byte[] reply, first);
            if (error == StoreError.None && reply.Length > StoreLimits.Payload)
            {
                error = StoreError.E2BIG;
            }

            Outbox.AddReply(error == StoreError.None
                ? header.With(reply)
                : (header with { Type = StoreMessageType.Error }).With(Encoding.Latin1.GetBytes(error + "\0")));

            // A new watch fires once at once, after its own reply.
            first.ForEach(static watch => watch.Fire(watch.Path));
            return true;
        });
    }

    /// <summary>Drops watches, transactions and waiting messages: the guest has gone, or reconnects. Any lock but the ring's may be held.</summary>
    public void Reset() => store.Locked(_ =>
    {
        DropWatches();
        _transactions.Clear();
        Outbox.Clear();
        return true;
    });

    private static string Text(ReadOnlySpan<byte> bytes) => Encoding.Latin1.GetString(bytes);

    // Splits off a NUL-terminated string.
    private static bool TryString(scoped ref ReadOnlySpan<byte> rest, out ReadOnlySpan<byte> text)
    {
        int end = rest.IndexOf((byte)0);
        text = end < 0 ? default : rest[..end];
        rest = end < 0 ? rest : rest[(end + 1)..];
        return end >= 0;
    }

    // The payload is exactly one NUL-terminated string.
    private static bool TryOnly(ReadOnlySpan<byte> payload, out ReadOnlySpan<byte> text) => TryString(ref payload, out text) && payload.IsEmpty;

    private bool TryPath(ReadOnlySpan<byte> payload, out string path)
    {
        bool valid = TryOnly(payload, out ReadOnlySpan<byte> text) & TryResolve(text, out path);
        return valid;
    }

    private bool TryResolve(ReadOnlySpan<byte> text, out string path)
    {
        bool valid = StorePath.TryResolve(text, domain, out string? resolved);
        path = valid ? names.ToStore(resolved!) : "";
        return valid;
    }

    private StoreError Dispatch(LiveSpace live, StoreHeader header, ReadOnlySpan<byte> payload, out byte[] reply, List<StoreWatch> first)
    {
        reply = Ok;
        NodeSpace space = live;
        StoreTransaction? transaction = null;
        bool inTransaction = header.TransactionId != 0 && header.Type is not (StoreMessageType.Watch or StoreMessageType.Unwatch
            or StoreMessageType.GetDomainPath or StoreMessageType.IsDomainIntroduced or StoreMessageType.ResetWatches);
        if (inTransaction)
        {
            if (!_transactions.TryGetValue(header.TransactionId, out transaction))
            {
                return StoreError.ENOENT;
            }

            space = transaction;
        }

        switch (header.Type)
        {
            case StoreMessageType.Directory:
                return Directory(space, payload, out reply);
            case StoreMessageType.DirectoryPart:
                return DirectoryPart(space, payload, out reply);
            case StoreMessageType.Read:
                return Read(space, payload, out reply);
            case StoreMessageType.GetPermissions:
                return GetPermissions(space, payload, out reply);
            case StoreMessageType.SetPermissions:
                return SetPermissions(space, payload);
            case StoreMessageType.Write:
                return Write(space, payload);
            case StoreMessageType.MakeDirectory:
                return TryPath(payload, out string made) ? NodeOperations.MakeDirectory(space, domain, made) : StoreError.EINVAL;
            case StoreMessageType.Remove:
                return TryPath(payload, out string removed) ? NodeOperations.Remove(space, domain, removed) : StoreError.EINVAL;
            case StoreMessageType.Watch:
                return Watch(payload, first);
            case StoreMessageType.Unwatch:
                return Unwatch(payload);
            case StoreMessageType.ResetWatches:
                DropWatches();
                _transactions.Clear();
                return StoreError.None;
            case StoreMessageType.TransactionStart:
                return transaction is null ? StartTransaction(live, out reply) : StoreError.EBUSY;
            case StoreMessageType.TransactionEnd:
                return EndTransaction(header.TransactionId, transaction, payload);
            case StoreMessageType.GetDomainPath:
                return DomainPath(payload, out reply);
            case StoreMessageType.IsDomainIntroduced:
                return IsIntroduced(payload, out reply);
            case StoreMessageType.Control or StoreMessageType.Introduce or StoreMessageType.Release or StoreMessageType.Resume
                or StoreMessageType.SetTarget:
                return StoreError.EACCES; // the toolstack's alone
            default:
                return StoreError.ENOSYS;
        }
    }

    private StoreError Read(NodeSpace space, ReadOnlySpan<byte> payload, out byte[] reply)
    {
        reply = [];
        if (!TryPath(payload, out string path))
        {
            return StoreError.EINVAL;
        }

        StoreError error = NodeOperations.Find(space, domain, path, StoreAccess.Read, out StoreNode? node);
        reply = names.ToGuest(node?.Value ?? []);
        return error;
    }

    private StoreError Directory(NodeSpace space, ReadOnlySpan<byte> payload, out byte[] reply)
    {
        reply = [];
        if (!TryPath(payload, out string path))
        {
            return StoreError.EINVAL;
        }

        StoreError error = NodeOperations.Find(space, domain, path, StoreAccess.Read, out StoreNode? node);
        reply = error == StoreError.None ? ChildNames(node!) : [];
        return error;
    }

    // Reply: generation, NUL, names from a byte offset on, and an empty name at the end of the list.
    private StoreError DirectoryPart(NodeSpace space, ReadOnlySpan<byte> payload, out byte[] reply)
    {
        reply = [];
        if (!TryString(ref payload, out ReadOnlySpan<byte> name) || !TryOnly(payload, out ReadOnlySpan<byte> from)
            || !TryResolve(name, out string path)
            || !int.TryParse(from, NumberStyles.None, CultureInfo.InvariantCulture, out int offset))
        {
            return StoreError.EINVAL;
        }

        StoreError error = NodeOperations.Find(space, domain, path, StoreAccess.Read, out StoreNode? node);
        if (error != StoreError.None)
        {
            return error;
        }

        byte[] names = ChildNames(node!);
        byte[] generation = Encoding.Latin1.GetBytes(node!.Generation.ToString(CultureInfo.InvariantCulture) + "\0");
        ReadOnlySpan<byte> rest = offset < names.Length ? names.AsSpan(offset) : default;
        int room = StoreLimits.Payload - generation.Length - 1;
        bool whole = rest.Length <= room;
        if (!whole)
        {
            rest = rest[..(rest[..room].LastIndexOf((byte)0) + 1)];
        }

        reply = [.. generation, .. rest, .. whole ? new byte[1] : []];
        return StoreError.None;
    }

    private static byte[] ChildNames(StoreNode node) => Encoding.Latin1.GetBytes(string.Concat(node.Children.Select(static name => name + "\0")));

    private StoreError GetPermissions(NodeSpace space, ReadOnlySpan<byte> payload, out byte[] reply)
    {
        reply = [];
        if (!TryPath(payload, out string path))
        {
            return StoreError.EINVAL;
        }

        StoreError error = NodeOperations.Find(space, domain, path, StoreAccess.Read, out StoreNode? node);
        if (error == StoreError.None)
        {
            reply = Encoding.Latin1.GetBytes(string.Concat(node!.Permissions.Select(permission => permission with { DomainId = names.ToGuest(permission.DomainId) } + "\0")));
        }

        return error;
    }

    private StoreError SetPermissions(NodeSpace space, ReadOnlySpan<byte> payload)
    {
        if (!TryString(ref payload, out ReadOnlySpan<byte> name) || !TryResolve(name, out string path))
        {
            return StoreError.EINVAL;
        }

        ImmutableArray<StorePermission>.Builder permissions = ImmutableArray.CreateBuilder<StorePermission>();
        while (!payload.IsEmpty)
        {
            if (!TryString(ref payload, out ReadOnlySpan<byte> text) || !StorePermission.TryParse(Text(text), out StorePermission permission))
            {
                return StoreError.EINVAL;
            }

            permissions.Add(permission with { DomainId = names.ToStore(permission.DomainId) });
        }

        return permissions.Count == 0 ? StoreError.EINVAL : NodeOperations.SetPermissions(space, domain, path, permissions.ToImmutable());
    }

    private StoreError Write(NodeSpace space, ReadOnlySpan<byte> payload) =>
        TryString(ref payload, out ReadOnlySpan<byte> name) && TryResolve(name, out string path)
            ? NodeOperations.Write(space, domain, path, payload.ToArray())
            : StoreError.EINVAL;

    private bool TryWatchArguments(ReadOnlySpan<byte> payload, out string path, out string token, out bool relative)
    {
        path = token = "";
        relative = false;
        if (!TryString(ref payload, out ReadOnlySpan<byte> name) || !TryString(ref payload, out ReadOnlySpan<byte> tokenText))
        {
            return false;
        }

        token = Text(tokenText);
        if (name.StartsWith("@"u8))
        {
            path = Text(name);
            return name.Length is > 1 and <= StoreLimits.RelativePath;
        }

        relative = !name.StartsWith("/"u8);
        return TryResolve(name, out path);
    }

    private StoreError Watch(ReadOnlySpan<byte> payload, List<StoreWatch> first)
    {
        if (!TryWatchArguments(payload, out string path, out string token, out bool relative))
        {
            return StoreError.EINVAL;
        }

        if (_watches.Exists(watch => watch.Path == path && watch.Token == token))
        {
            return StoreError.EEXIST;
        }

        if (_watches.Count >= StoreLimits.Watches)
        {
            return StoreError.E2BIG;
        }

        var added = new GuestWatch(path, names, token, relative, Outbox);
        _watches.Add(added);
        store.AddWatch(added);
        first.Add(added);
        return StoreError.None;
    }

    private StoreError Unwatch(ReadOnlySpan<byte> payload)
    {
        if (!TryWatchArguments(payload, out string path, out string token, out _))
        {
            return StoreError.EINVAL;
        }

        GuestWatch? found = _watches.Find(watch => watch.Path == path && watch.Token == token);
        if (found is null)
        {
            return StoreError.ENOENT;
        }

        _watches.Remove(found);
        store.RemoveWatch(found);
        return StoreError.None;
    }

    private void DropWatches()
    {
        _watches.ForEach(store.RemoveWatch);
        _watches.Clear();
    }

    private StoreError StartTransaction(LiveSpace live, out byte[] reply)
    {
        reply = [];
        if (_transactions.Count >= StoreLimits.Transactions)
        {
            return StoreError.ENOSPC;
        }

        do
        {
            _lastTransaction++;
        }
        while (_lastTransaction == 0 || _transactions.ContainsKey(_lastTransaction));

        _transactions.Add(_lastTransaction, new StoreTransaction(live, limited: true));
        reply = Encoding.Latin1.GetBytes(_lastTransaction.ToString(CultureInfo.InvariantCulture) + "\0");
        return StoreError.None;
    }

    private StoreError EndTransaction(uint id, StoreTransaction? transaction, ReadOnlySpan<byte> payload)
    {
        if (!TryOnly(payload, out ReadOnlySpan<byte> text) || (!text.SequenceEqual("T"u8) && !text.SequenceEqual("F"u8)))
        {
            return StoreError.EINVAL;
        }

        if (transaction is null)
        {
            return StoreError.ENOENT;
        }

        _transactions.Remove(id);
        return text[0] == (byte)'T' ? transaction.Commit(StoreLimits.Nodes) : StoreError.None;
    }

    private static StoreError DomainPath(ReadOnlySpan<byte> payload, out byte[] reply)
    {
        bool valid = TryDomain(payload, out ushort id);
        reply = valid ? Encoding.Latin1.GetBytes(StorePath.Home(id) + "\0") : [];
        return valid ? StoreError.None : StoreError.EINVAL;
    }

    private StoreError IsIntroduced(ReadOnlySpan<byte> payload, out byte[] reply)
    {
        bool valid = TryDomain(payload, out ushort id);
        reply = valid && store.IsIntroduced(id == Dbt.Xen.Abi.Layout.DomidSelf ? domain : names.ToStore(id)) ? "T\0"u8.ToArray() : "F\0"u8.ToArray();
        return valid ? StoreError.None : StoreError.EINVAL;
    }

    private static bool TryDomain(ReadOnlySpan<byte> payload, out ushort id)
    {
        id = 0;
        return TryOnly(payload, out ReadOnlySpan<byte> text) && ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out id);
    }
}
