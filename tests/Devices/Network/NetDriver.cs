using System.Buffers.Binary;
using System.Globalization;
using Dbt.Devices.Network;
using Dbt.Devices.Network.Frontend;
using Dbt.Devices.Store;

namespace Dbt.Tests.Devices.Network;

/// <summary>A guest's network driver against a back end over plain memory: negotiates through its xenstore session, fills the rings.</summary>
internal sealed class NetDriver : IDisposable
{
    public const string Front = "device/vif/0";
    public const string Back = "/local/domain/0/backend/vif/1/0";
    public const int Size = 256;
    public const ushort Blank = 1, Validated = 2, More = 4, Extra = 8;

    private uint _next = 100;
    private bool _disposed;

    public NetDriver(NetworkRate? rate = null)
    {
        Store.Mkdir("/local/domain/1");
        Store.SetPermissions("/local/domain/1", new StorePermission(0, StoreAccess.None), new StorePermission(1, StoreAccess.Read));
        Guest = new StoreClient(Store.Introduce(1));
        var card = new NetworkConfiguration(0, TestFrames.A, () => Cable) { Bridge = "test", Rate = rate };
        Backend = new VifBackend(Store, Frontend, card, Cable);
    }

    public XenStore Store { get; } = new();

    public FakeFrontend Frontend { get; } = new();

    public FakeCable Cable { get; } = new();

    public StoreClient Guest { get; }

    public VifBackend Backend { get; }

    public List<Queue> Queues { get; } = [];

    public FakePage? Control { get; private set; }

    public uint ControlPort { get; private set; }

    public string State => Guest.Read(Back + "/state");

    /// <summary>Makes rings and event channels, names them to the back end, and goes to state 4.</summary>
    public void Connect(int queues = 1, bool split = false, bool control = false, bool features = true)
    {
        Queues.Clear();
        for (int i = 0; i < queues; i++)
        {
            string path = queues == 1 ? Front : $"{Front}/queue-{i}";
            var queue = new Queue(Ring(path + "/tx-ring-ref"), Ring(path + "/rx-ring-ref"), Port(path + (split ? "/event-channel-tx" : "/event-channel")),
                split ? Port(path + "/event-channel-rx") : 0);
            Queues.Add(queue);
        }

        if (queues > 1)
        {
            Guest.Write(Front + "/multi-queue-num-queues", Text((uint)queues));
        }

        if (control)
        {
            Control = Ring(Front + "/ctrl-ring-ref");
            ControlPort = Port(Front + "/event-channel-ctrl");
        }

        Guest.Write(Front + "/request-rx-copy", "1");
        foreach (string feature in features
            ? (string[])["feature-rx-notify", "feature-sg", "feature-gso-tcpv4", "feature-gso-tcpv6", "feature-ipv6-csum-offload"] : [])
        {
            Guest.Write($"{Front}/{feature}", "1");
        }

        Guest.Write(Front + "/state", "4");
    }

    /// <summary>Grants a page with bytes.</summary>
    public (uint Reference, FakePage Page) Grant(ReadOnlySpan<byte> bytes = default, int offset = 0)
    {
        uint reference = _next++;
        FakePage page = Frontend.Grant(reference);
        bytes.CopyTo(page.Bytes[offset..]);
        return (reference, page);
    }

    /// <summary>Puts a whole frame on a transmit ring, cut to pages.</summary>
    /// <returns>The number of slots.</returns>
    public int PutFrame(Queue queue, ReadOnlySpan<byte> frame, ushort flags = 0, (SegmentationKind Kind, ushort Size)? cut = null)
    {
        int slots = 0;
        for (int position = 0; position < frame.Length;)
        {
            int length = Math.Min(frame.Length - position, 4096);
            uint reference = Grant(frame.Slice(position, length)).Reference;
            bool last = position + length == frame.Length;
            var all = (ushort)((slots == 0 ? flags | (cut is null ? 0 : Extra) : 0) | (last ? 0 : More));
            queue.Put(reference, 0, all, (ushort)(1000 + slots), (ushort)(slots == 0 ? frame.Length : length));
            slots++;
            if (position == 0 && cut is { } gso)
            {
                queue.PutExtra(1, 0, gso.Size, (byte)gso.Kind);
                slots++;
            }

            position += length;
        }

        return slots;
    }

    /// <summary>Sends a queue's event; to nobody where the back end has closed the device meanwhile.</summary>
    public void Kick(Queue queue)
    {
        queue.Publish();
        if (Frontend.Signals.TryGetValue(queue.Port, out Action? signal))
        {
            signal();
        }
    }

    /// <summary>Sends the event of what was posted to receive.</summary>
    public void KickReceive(Queue queue) => Frontend.Signals[queue.ReceivePort == 0 ? queue.Port : queue.ReceivePort]();

    /// <summary>Posts pages to receive into.</summary>
    public FakePage[] Post(Queue queue, int pages)
    {
        var posted = new FakePage[pages];
        for (int i = 0; i < pages; i++)
        {
            (uint reference, posted[i]) = Grant();
            queue.Post(reference);
        }

        return posted;
    }

    /// <summary>Sends a control request and waits for its response.</summary>
    public (uint Status, uint Data) Request(ushort type, uint first = 0, uint second = 0, uint third = 0)
    {
        uint index = Control![0];
        Span<byte> slot = Control.Bytes[(64 + ((int)(index % 128) * 16))..];
        BinaryPrimitives.WriteUInt16LittleEndian(slot, (ushort)(index + 77));
        BinaryPrimitives.WriteUInt16LittleEndian(slot[2..], type);
        BinaryPrimitives.WriteUInt32LittleEndian(slot[4..], first);
        BinaryPrimitives.WriteUInt32LittleEndian(slot[8..], second);
        BinaryPrimitives.WriteUInt32LittleEndian(slot[12..], third);
        Control[0] = index + 1;
        Frontend.Signals[ControlPort]();
        Queue.Until(() => Control[8] == index + 1, "no response to a control request");
        slot = Control.Bytes[(64 + ((int)(index % 128) * 16))..];
        Assert.Equal((ushort)(index + 77), BinaryPrimitives.ReadUInt16LittleEndian(slot));
        Assert.Equal(type, BinaryPrimitives.ReadUInt16LittleEndian(slot[2..]));
        return (BinaryPrimitives.ReadUInt32LittleEndian(slot[4..]), BinaryPrimitives.ReadUInt32LittleEndian(slot[8..]));
    }

    /// <summary>Waits until the back end has closed the device, and gives its reason.</summary>
    public string WaitClosed()
    {
        Queue.Until(() => State == "5", "the device wasn't closed");
        Assert.Equal(0, Frontend.Mapped);
        Assert.Empty(Frontend.Signals);
        return Store.Read("/local/domain/0/error/backend/vif/1/0/error")!;
    }

    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            Backend.Dispose();
            Assert.True(Cable.IsDisposed);
            Assert.Equal(0, Frontend.Mapped);
            Assert.Empty(Frontend.Signals);
        }
    }

    private FakePage Ring(string node)
    {
        (uint reference, FakePage page) = Grant();
        page[4] = 1;
        page[12] = 1;
        Guest.Write(node, Text(reference));
        return page;
    }

    private uint Port(string node)
    {
        uint port = _next++;
        Frontend.Ports.Add(port);
        Guest.Write(node, Text(port));
        return port;
    }

    private static string Text(uint value) => value.ToString(CultureInfo.InvariantCulture);

    /// <summary>One pair of rings.</summary>
    internal sealed class Queue(FakePage transmit, FakePage receive, uint port, uint receivePort)
    {
        private uint _transmitted;
        private uint _received;

        // Slots that were filled and aren't shown yet: frames are shown whole, as a driver does.
        private uint _unpublished;

        public FakePage Transmit => transmit;

        public FakePage Receive => receive;

        public uint Port => port;

        public uint ReceivePort => receivePort;

        public static void Until(Func<bool> condition, string otherwise) =>
            Assert.True(SpinWait.SpinUntil(condition, TimeSpan.FromSeconds(30)), otherwise);

        /// <summary>Shows the back end what was put.</summary>
        public void Publish()
        {
            transmit[0] += _unpublished;
            _unpublished = 0;
        }

        /// <summary>Puts a transmit request; the back end doesn't see it before <see cref="Publish"/>.</summary>
        public void Put(uint reference, ushort offset, ushort flags, ushort id, ushort size)
        {
            Span<byte> slot = Slot(transmit, transmit[0] + _unpublished++, 12);
            BinaryPrimitives.WriteUInt32LittleEndian(slot, reference);
            BinaryPrimitives.WriteUInt16LittleEndian(slot[4..], offset);
            BinaryPrimitives.WriteUInt16LittleEndian(slot[6..], flags);
            BinaryPrimitives.WriteUInt16LittleEndian(slot[8..], id);
            BinaryPrimitives.WriteUInt16LittleEndian(slot[10..], size);
        }

        /// <summary>Puts extra info: a segmentation, or with six bytes an address.</summary>
        public void PutExtra(byte type, byte flags, ushort size = 0, byte kind = 0, MacAddress? address = null)
        {
            Span<byte> slot = Slot(transmit, transmit[0] + _unpublished++, 12);
            slot.Clear();
            slot[0] = type;
            slot[1] = flags;
            BinaryPrimitives.WriteUInt16LittleEndian(slot[2..], size);
            slot[4] = kind;
            address?.Write(slot[2..]);
        }

        /// <summary>Waits for transmit responses.</summary>
        public (ushort Id, short Status)[] Wait(int count)
        {
            Until(() => transmit[8] - _transmitted >= (uint)count, $"no response; the ring is at {transmit[8]}, {_transmitted} were seen");
            var responses = new (ushort, short)[count];
            for (int i = 0; i < count; i++)
            {
                Span<byte> slot = Slot(transmit, _transmitted++, 12);
                responses[i] = (BinaryPrimitives.ReadUInt16LittleEndian(slot), BinaryPrimitives.ReadInt16LittleEndian(slot[2..]));
            }

            transmit[12] = _transmitted + 1;
            return responses;
        }

        /// <summary>Posts a page.</summary>
        public void Post(uint reference)
        {
            Span<byte> slot = Slot(receive, receive[0], 8);
            BinaryPrimitives.WriteUInt16LittleEndian(slot, (ushort)(receive[0] % Size));
            BinaryPrimitives.WriteUInt32LittleEndian(slot[4..], reference);
            receive[0]++;
        }

        /// <summary>Receive responses that are there and weren't taken.</summary>
        public int Received => (int)(receive[8] - _received);

        /// <summary>Takes a receive response's eight bytes.</summary>
        public byte[] Take()
        {
            Assert.True(Received > 0, "nothing was received");
            byte[] slot = Slot(receive, _received++, 8)[..8].ToArray();
            receive[12] = _received + 1;
            return slot;
        }

        private static Span<byte> Slot(FakePage page, uint index, int size) => page.Bytes[(64 + ((int)(index % Size) * size))..];
    }
}
