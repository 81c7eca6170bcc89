using Dbt.Xen.Snapshot;

namespace Dbt.Devices.Store;

/// <content>Going on elsewhere.</content>
internal sealed partial class StoreOutbox
{
    private const int MostItems = 1 << 17, ItemBytes = 5;

    /// <summary>Writes the messages that wait, the oldest first.</summary>
    public void Capture(SectionWriter writer)
    {
        lock (_lock)
        {
            writer.UInt32((uint)_items.Count);
            foreach (Item item in _items)
            {
                writer.Flag(item.Event is not null);
                if (item.Event is { } key)
                {
                    writer.Text(key.Path);
                    writer.Text(key.Token);
                }

                writer.Block(item.Message);
            }
        }
    }

    /// <summary>Adds the messages that waited.</summary>
    public void Restore(SectionReader reader)
    {
        int count = reader.Count(MostItems, ItemBytes, "messages");
        for (int i = 0; i < count; i++)
        {
            if (reader.Flag())
            {
                string path = reader.Text(StoreLimits.Payload), token = reader.Text(StoreLimits.Payload);
                AddEvent(path, token, Message(reader));
            }
            else if (Replies < StoreLimits.OutstandingReplies)
            {
                AddReply(Message(reader));
            }
            else
            {
                throw reader.Error("more replies wait than can");
            }
        }
    }

    private static byte[] Message(SectionReader reader) => reader.Block(StoreHeader.Size + StoreLimits.Payload).ToArray();
}
