using Dbt.Xen.Snapshot;

namespace Dbt.Devices.Store;

/// <content>Going on elsewhere: the indices are in the page; what is here is the request that has come in part, and the message that has gone in part.</content>
internal sealed partial class StoreRing
{
    /// <summary>Writes them. Nobody uses the ring meanwhile.</summary>
    public void Capture(SectionWriter writer)
    {
        writer.Flag(IsBroken);
        writer.Block(_message.AsSpan(0, _received));
        writer.Block(_sending.AsSpan(_sent));
    }

    /// <summary>Takes them up, in place of <see cref="Start"/>.</summary>
    public void Restore(SectionReader reader)
    {
        IsBroken = reader.Flag();
        ReadOnlySpan<byte> received = reader.Block(_message.Length - 1);
        received.CopyTo(_message);
        _received = received.Length;
        if (_received >= StoreHeader.Size && Missing(out _) <= 0)
        {
            throw reader.Error("a request is longer than any");
        }

        _sending = reader.Block(_message.Length).ToArray();
        _sent = 0;
    }
}
