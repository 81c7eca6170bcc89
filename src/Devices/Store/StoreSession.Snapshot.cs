using Dbt.Xen.Snapshot;

namespace Dbt.Devices.Store;

/// <content>
/// Going on elsewhere: watches, messages that wait, and the numbers of open transactions. Those have to be done again (EAGAIN at their end), as when
/// somebody else was faster.
/// </content>
internal sealed partial class StoreSession
{
    private const int WatchBytes = 9;

    /// <summary>Writes it.</summary>
    public void Capture(SectionWriter writer) => store.Locked(_ =>
    {
        writer.UInt32((uint)_watches.Count);
        foreach (GuestWatch watch in _watches)
        {
            writer.Text(names.ToGuest(watch.Path));
            writer.Text(watch.Token);
            writer.Flag(watch.IsRelative);
        }

        writer.UInt32(_lastTransaction);
        writer.UInt32((uint)_transactions.Count);
        foreach (uint id in _transactions.Keys)
        {
            writer.UInt32(id);
        }

        Outbox.Capture(writer);
        return true;
    });

    /// <summary>Takes it up. Watches don't fire for being set again.</summary>
    public void Restore(SectionReader reader) => store.Locked(live =>
    {
        int watches = reader.Count(StoreLimits.Watches, WatchBytes, "watches");
        for (int i = 0; i < watches; i++)
        {
            string path = reader.Text(StoreLimits.AbsolutePath), token = reader.Text(StoreLimits.Payload);
            bool relative = reader.Flag();
            bool special = path.StartsWith('@') && path.Length is > 1 and <= StoreLimits.RelativePath;
            path = special ? path : names.ToStore(path);
            if ((!special && !StorePath.IsValid(path)) || (relative && !path.StartsWith(StorePath.Home(domain) + "/", StringComparison.Ordinal)))
            {
                throw reader.Error("a watch is on what is no path");
            }

            var watch = new GuestWatch(path, names, token, relative, Outbox);
            _watches.Add(watch);
            store.AddWatch(watch);
        }

        _lastTransaction = reader.UInt32();
        int transactions = reader.Count(StoreLimits.Transactions, sizeof(uint), "transactions");
        for (int i = 0; i < transactions; i++)
        {
            _transactions[reader.UInt32()] = new StoreTransaction(live, limited: true) { IsStale = true };
        }

        Outbox.Restore(reader);
        return true;
    });
}
