using System.Text;
using CsCheck;
using Dbt.Devices.Store;

namespace Dbt.Tests.Devices;

/// <summary>xenstore's ring: messages in pieces, full rings, hostile contents.</summary>
public sealed class StoreRingTests
{
    private const int RequestConsumer = 2048, RequestProducer = 2052, ReplyConsumer = 2056, ReplyProducer = 2060;
    private const int Features = 2064, Connection = 2068, Error = 2072;
    private readonly XenStore _store = new();
    private readonly FakePage _page = new();
    private readonly StoreSession _session;
    private readonly StoreRing _ring;

    public StoreRingTests()
    {
        _session = StoreClient.Create(_store, 1).Session;
        _ring = new StoreRing(_page, _session);
        _ring.Start();
    }

    [Fact]
    public void OffersItsFeatures()
    {
        Assert.Equal(3u, _page[Features]);
        Assert.Equal(0u, _page[Connection]);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(1024)]
    public void TakesMessagesInPieces(int piece)
    {
        string value = new('v', 1500);
        byte[] request = Message(StoreMessageType.Write, "data\0" + value, 5);
        var sent = new List<byte>(request);
        sent.AddRange(Message(StoreMessageType.Read, "data\0", 6));
        sent.AddRange(Message(StoreMessageType.Read, "none\0", 7));
        var replies = new List<byte>();
        for (int i = 0; i < sent.Count; i += piece)
        {
            Put(sent.Skip(i).Take(piece).ToArray());
            while (_ring.Pump())
            {
                replies.AddRange(TakeReplies());
            }
        }

        Assert.Equal(
            [.. Message(StoreMessageType.Write, "OK\0", 5), .. Message(StoreMessageType.Read, value, 6), .. Message(StoreMessageType.Error, "ENOENT\0", 7)],
            replies.ToArray());
    }

    [Fact]
    public void ReadsNoMoreRequestsThanTheGuestTakesReplies()
    {
        byte[] request = Message(StoreMessageType.Read, "d\0", 1);
        int sent = 0;
        for (int i = 0; i < 200; i++)
        {
            if (1024 - (_page[RequestProducer] - _page[RequestConsumer]) >= request.Length)
            {
                Put(request);
                sent++;
            }

            _ring.Pump();
        }

        Assert.InRange(sent, 1, 200 - 1);
        int replies = 0;
        while (_ring.Pump() || _page[ReplyProducer] != _page[ReplyConsumer])
        {
            replies += TakeReplies().Count(static value => value == (byte)'T'); // one in each ENOENT
        }

        Assert.Equal(sent, replies);
        Assert.Equal(_page[RequestProducer], _page[RequestConsumer]);
    }

    [Fact]
    public void AnImpossibleLengthEndsTheConversation()
    {
        byte[] request = Message(StoreMessageType.Write, "d\0", 1);
        BitConverter.TryWriteBytes(request.AsSpan(12), 4097);
        Put(request);
        _ring.Pump();
        Assert.True(_ring.IsBroken);
        Assert.Equal(3u, _page[Error]);
        Assert.False(_ring.Pump());
        Reconnect();
        Put(Message(StoreMessageType.Read, "none\0", 2));
        Assert.True(_ring.Pump());
        Assert.Equal(Message(StoreMessageType.Error, "ENOENT\0", 2), TakeReplies());
    }

    [Theory]
    [InlineData(RequestProducer)]
    [InlineData(RequestConsumer)]
    [InlineData(ReplyProducer)]
    [InlineData(ReplyConsumer)]
    public void ImpossibleIndicesEndTheConversation(int index)
    {
        Put(Message(StoreMessageType.Read, "none\0", 2));
        _page[index] += 5000;
        _ring.Pump();
        Assert.True(_ring.IsBroken);
        Assert.Equal(2u, _page[Error]);
        Reconnect();
        Assert.False(_ring.IsBroken);
    }

    [Fact]
    public void ReconnectingForgetsEverything()
    {
        Put(Message(StoreMessageType.Watch, "data\0t\0", 1));
        Put(Message(StoreMessageType.TransactionStart, "\0", 2));
        Put(Message(StoreMessageType.Write, "half a message", 3)[..20]);
        while (_ring.Pump())
        {
        }

        Reconnect();
        _store.Write("/local/domain/1/data", "1");
        Put(Message(StoreMessageType.TransactionEnd, "F\0", 4));
        while (_ring.Pump())
        {
        }

        Assert.Equal(Message(StoreMessageType.Error, "ENOENT\0", 4), TakeReplies());
    }

    [Fact]
    public void SurvivesWhateverThePageHolds()
    {
        Gen.Byte.Array[4096].Select(Gen.Int[0, 4], Gen.UInt).Sample(
            static (bytes, kind, number) =>
            {
                var store = new XenStore();
                var page = new FakePage();
                StoreSession session = StoreClient.Create(store, 1).Session;
                var ring = new StoreRing(page, session);
                ring.Start();
                bytes.CopyTo(page.Bytes);
                if (kind > 0)
                {
                    // Plausible indices and headers, so that the messages themselves are reached.
                    page[RequestConsumer] = number;
                    page[RequestProducer] = number + (uint)(bytes[0] * 4);
                    page[ReplyConsumer] = page[ReplyProducer] = number;
                    page[Connection] = 0;
                    for (int at = (int)(number % 1024), i = 0; i < 8; i++)
                    {
                        page[at & 0x3FC] = (uint)bytes[i + 10] % 24;
                        page[(at + 8) & 0x3FC] = 0;
                        page[(at + 12) & 0x3FC] = (uint)bytes[i + 20] % 40;
                        at += 16 + (bytes[i + 20] % 40);
                    }
                }

                for (int round = 0; round < 10 && ring.Pump(); round++)
                {
                    page[ReplyConsumer] = page[ReplyProducer];
                }

                Assert.Equal("Domain-0", store.Read("/local/domain/0/name"));
            },
            iter: 2000);
    }

    [Fact]
    public void ServesARingByEvents()
    {
        var frontend = new FakeFrontend();
        frontend.Ports.Add(3);
        var page = new FakePage();
        var store = new XenStore();
        store.Mkdir("/local/domain/1");
        using (new StoreBackend(store, frontend, page, 3))
        {
            Assert.True(store.IsIntroduced(1));
            byte[] request = Message(StoreMessageType.Read, "none\0", 9);
            page.Bytes[..request.Length].Clear();
            request.CopyTo(page.Bytes);
            page[RequestProducer] = (uint)request.Length;
            frontend.Signals[3]();
            while (page[ReplyProducer] < 23)
            {
                Assert.True(frontend.Events.Wait(TimeSpan.FromSeconds(30)));
            }

            Assert.Equal(Message(StoreMessageType.Error, "EACCES\0", 9), page.Bytes[1024..(1024 + 23)].ToArray());
        }

        Assert.False(store.IsIntroduced(1));
        Assert.Empty(frontend.Signals);
    }

    private static byte[] Message(StoreMessageType type, string payload, uint request) =>
        new StoreHeader(type, request, 0, 0).With(Encoding.Latin1.GetBytes(payload));

    private void Put(byte[] bytes)
    {
        foreach (byte value in bytes)
        {
            while (_page[RequestProducer] - _page[RequestConsumer] == 1024)
            {
                Assert.True(_ring.Pump());
            }

            _page.Bytes[(int)(_page[RequestProducer] % 1024)] = value;
            _page[RequestProducer]++;
        }
    }

    private byte[] TakeReplies()
    {
        var taken = new List<byte>();
        for (; _page[ReplyConsumer] != _page[ReplyProducer]; _page[ReplyConsumer]++)
        {
            taken.Add(_page.Bytes[1024 + (int)(_page[ReplyConsumer] % 1024)]);
        }

        return [.. taken];
    }

    private void Reconnect()
    {
        _page[Connection] = 1;
        Assert.True(_ring.Pump());
        Assert.Equal(0u, _page[Connection]);
        Assert.Equal(0u, _page[Error]);
        Assert.Equal(0u, _page[RequestProducer] | _page[RequestConsumer] | _page[ReplyConsumer] | _page[ReplyProducer]);
    }
}
