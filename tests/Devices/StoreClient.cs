using System.Text;
using Dbt.Devices.Store;

namespace Dbt.Tests.Devices;

/// <summary>Speaks to a session as a guest does, without a ring.</summary>
internal sealed class StoreClient(StoreSession session)
{
    private readonly Queue<(string Path, string Token)> _events = new();
    private uint _request;

    public StoreSession Session => session;

    /// <summary>Sends a request; gives the reply's text, or the error's name with a '!' before it.</summary>
    public string Call(StoreMessageType type, string payload, uint transaction = 0)
    {
        uint id = ++_request;
        session.Handle(new StoreHeader(type, id, transaction, (uint)payload.Length), Encoding.Latin1.GetBytes(payload));
        string? reply = null;
        while (session.Outbox.TryTake(out byte[] message))
        {
            StoreHeader header = StoreHeader.Read(message);
            Assert.Equal(message.Length - StoreHeader.Size, (int)header.Length);
            string text = Encoding.Latin1.GetString(message.AsSpan(StoreHeader.Size));
            if (header.Type == StoreMessageType.WatchEvent)
            {
                string[] parts = text.Split('\0');
                _events.Enqueue((parts[0], parts[1]));
                continue;
            }

            Assert.Null(reply);
            Assert.Equal(id, header.RequestId);
            Assert.Equal(transaction, header.TransactionId);
            Assert.True(header.Type == type || header.Type == StoreMessageType.Error);
            reply = header.Type == StoreMessageType.Error ? "!" + text.TrimEnd('\0') : text;
        }

        Assert.NotNull(reply);
        return reply;
    }

    public string Read(string path, uint transaction = 0) => Call(StoreMessageType.Read, path + "\0", transaction);

    public string Write(string path, string value, uint transaction = 0) => Call(StoreMessageType.Write, path + "\0" + value, transaction);

    public string Remove(string path, uint transaction = 0) => Call(StoreMessageType.Remove, path + "\0", transaction);

    public string Mkdir(string path, uint transaction = 0) => Call(StoreMessageType.MakeDirectory, path + "\0", transaction);

    public string List(string path, uint transaction = 0) => Call(StoreMessageType.Directory, path + "\0", transaction);

    public string Watch(string path, string token) => Call(StoreMessageType.Watch, $"{path}\0{token}\0");

    public uint Start() => uint.Parse(Call(StoreMessageType.TransactionStart, "\0").TrimEnd('\0'), System.Globalization.CultureInfo.InvariantCulture);

    public string End(uint transaction, bool commit = true) => Call(StoreMessageType.TransactionEnd, commit ? "T\0" : "F\0", transaction);

    /// <summary>Events that came since the last look.</summary>
    public List<(string Path, string Token)> TakeEvents()
    {
        while (session.Outbox.TryTake(out byte[] message))
        {
            Assert.Equal(StoreMessageType.WatchEvent, StoreHeader.Read(message).Type);
            string[] parts = Encoding.Latin1.GetString(message.AsSpan(StoreHeader.Size)).Split('\0');
            _events.Enqueue((parts[0], parts[1]));
        }

        var taken = new List<(string, string)>(_events);
        _events.Clear();
        return taken;
    }

    /// <summary>A store with one domain whose home it owns.</summary>
    public static StoreClient Create(XenStore store, ushort domain)
    {
        string home = $"/local/domain/{domain}";
        store.Mkdir(home);
        store.SetPermissions(home, new StorePermission(domain, StoreAccess.None));
        return new StoreClient(store.Introduce(domain));
    }
}
