using System.Buffers.Binary;
using System.Text;
using Dbt.Devices;
using Dbt.Devices.Store;

namespace Dbt.Perf.Fuzz.Attackers;

/// <summary>
/// An attacker's xenstore ring, as its kernel would use and abuse it, and the server's side of it, which runs on the caller's thread round by
/// round, so that the same case gives the same messages.
/// </summary>
internal sealed unsafe class StoreAttack : IDisposable
{
    private const int RingSize = 1024, Replies = 1024;
    private const uint RequestConsumer = 2048, RequestProducer = 2052, ReplyConsumer = 2056, ReplyProducer = 2060, Connection = 2068;
    private static readonly string[] s_tokens = ["t", "", "0", "a token with spaces", new('t', 1000)];
    private readonly FuzzArena _arena;
    private readonly Attacker _attacker;
    private readonly StoreRing _ring;
    private readonly ISharedPage _page;
    private readonly List<uint> _transactions = [0];
    private readonly MemoryStream _received = new();
    private readonly Dictionary<uint, StoreMessageType> _asked = [];
    private uint _request;

    /// <summary>Introduces the attacker to the store.</summary>
    public StoreAttack(FuzzArena arena, Attacker attacker)
    {
        (_arena, _attacker) = (arena, attacker);
        DomainNodes.Create(arena.Store, attacker.Domain);
        _page = new DomainFrontend(attacker.Domain).MapFrame(attacker.Domain.StoreMfn);
        _ring = new StoreRing(_page, arena.Store.Introduce(attacker.Domain.Id));
        _ring.Start();
    }

    /// <summary>The attacker's home.</summary>
    public string Home => StorePath.Home(_attacker.Domain.Id);

    /// <summary>Does the next thing that the case says.</summary>
    public void Step(FuzzInput input, string otherHome)
    {
        switch (input.Below(20))
        {
            case 0:
                PutRaw(input);
                break;
            case 1:
                Word(input.Of([RequestConsumer, RequestProducer, ReplyConsumer, ReplyProducer])) = input.Dword();
                break;
            case 2:
                Word(Connection) = (uint)input.Below(4);
                break;
            case 3:
                Put(Message(input, otherHome, (uint)input.Word()));
                break;
            default:
                Put(Message(input, otherHome, null));
                break;
        }

        Serve(drain: !input.OneIn(10));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _arena.Store.Release(_attacker.Domain.Id);
        _page.Dispose();
        DomainNodes.Remove(_arena.Store, _attacker.Domain);
    }

    private ref uint Word(uint offset) => ref _attacker.Word(Attacker.StoreRing + offset);

    // Rounds until nothing moves any more: each is bounded by the ring's size.
    private void Serve(bool drain)
    {
        for (int rounds = 0; _ring.Pump() && rounds < 1000; rounds++)
        {
            if (drain)
            {
                Drain();
            }
        }

        if (_ring.IsBroken)
        {
            _arena.Notes.Met("store broken", Word(2072));
            Word(Connection) = 1;
            _ring.Pump();
            _received.SetLength(0);
            _transactions.RemoveRange(1, _transactions.Count - 1);
        }
    }

    private void Drain()
    {
        uint consumer = Word(ReplyConsumer), count = Word(ReplyProducer) - consumer;
        if (count > RingSize)
        {
            return;
        }

        for (uint i = 0; i < count; i++)
        {
            _received.WriteByte(*_attacker.At(Attacker.StoreRing + Replies + ((consumer + i) % RingSize)));
        }

        Word(ReplyConsumer) = consumer + count;
        ReadReplies();
    }

    private void ReadReplies()
    {
        byte[] all = _received.ToArray();
        int at = 0;
        while (all.Length - at >= StoreHeader.Size)
        {
            var header = StoreHeader.Read(all.AsSpan(at));
            if (header.Length > StoreLimits.Payload)
            {
                // The ring's indices were moved under it; what follows is anything.
                at = all.Length;
                break;
            }

            if (all.Length - at < StoreHeader.Size + header.Length)
            {
                break;
            }

            Look(header, Encoding.Latin1.GetString(all.AsSpan(at + StoreHeader.Size, (int)header.Length)));
            at += StoreHeader.Size + (int)header.Length;
        }

        _received.SetLength(0);
        _received.Write(all.AsSpan(at));
    }

    private void Look(StoreHeader header, string text)
    {
        FuzzFinding.Unless(!text.Contains(Neighbour.Secret, StringComparison.Ordinal), $"the store told {header.Type} with {text}");
        StoreMessageType asked = header.Type == StoreMessageType.WatchEvent ? header.Type : _asked.GetValueOrDefault(header.RequestId, header.Type);
        _arena.Notes.Met($"store {asked} {(header.TransactionId == 0 ? "" : "in a transaction")}", header.Type == StoreMessageType.Error ? string.GetHashCode(text, StringComparison.Ordinal) : text.Length == 0 ? 0 : 1);
        if (header.Type == StoreMessageType.TransactionStart && uint.TryParse(text.TrimEnd('\0'), out uint transaction) && _transactions.Count < 20)
        {
            _transactions.Add(transaction);
        }
    }

    private void PutRaw(FuzzInput input)
    {
        byte[] bytes = new byte[input.Below(200)];
        input.Fill(bytes);
        Put(bytes);
    }

    private void Put(ReadOnlySpan<byte> bytes)
    {
        // What has no room is left out, as an impatient guest would.
        uint producer = Word(RequestProducer);
        for (int i = 0; i < bytes.Length; i++)
        {
            if (i != 0 && i % 512 == 0)
            {
                Word(RequestProducer) = producer + (uint)i;
                _ring.Pump();
            }

            *_attacker.At(Attacker.StoreRing + ((producer + (uint)i) % RingSize)) = bytes[i];
        }

        Word(RequestProducer) = producer + (uint)bytes.Length;
    }

    private byte[] Message(FuzzInput input, string otherHome, uint? claimedLength)
    {
        var type = (StoreMessageType)input.Of<uint>([1, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 7, 10, 11, 11, 11, 11, 12, 12, 13, 13, 14, 14, 17, 18, 19, 21, 22, 0, 8, 9, 15, 16, 20, 23, 1000]);
        uint transaction = input.OneIn(16) ? input.Dword() : _transactions[input.OneIn(2) ? input.Below(_transactions.Count) : 0];
        var payload = new StringBuilder(Path(input, otherHome));
        if (type is StoreMessageType.TransactionEnd)
        {
            payload.Clear().Append(input.OneIn(3) ? 'F' : 'T').Append('\0');
        }
        else if (type is StoreMessageType.TransactionStart or StoreMessageType.ResetWatches)
        {
            payload.Clear().Append('\0');
        }
        else
        {
            payload.Append(input.OneIn(30) ? "" : "\0");
            AddSecond(input, type, payload);
        }

        byte[] bytes = Encoding.Latin1.GetBytes(payload.ToString());
        _asked[_request] = type;
        byte[] message = new StoreHeader(type, _request++, transaction, 0).With(bytes.AsSpan(0, Math.Min(bytes.Length, StoreLimits.Payload)));
        if (claimedLength is { } length)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(message.AsSpan(12), length);
        }

        return message;
    }

    private void AddSecond(FuzzInput input, StoreMessageType type, StringBuilder payload)
    {
        switch (type)
        {
            case StoreMessageType.Watch or StoreMessageType.Unwatch:
                payload.Append(input.Of<string>(s_tokens)).Append(input.OneIn(20) ? "" : "\0");
                break;
            case StoreMessageType.SetPermissions:
                for (int i = input.Below(8); i >= 0; i--)
                {
                    payload.Append(input.Of<char>(['n', 'r', 'w', 'b', 'x'])).Append(input.OneIn(8) ? "4294967296" : $"{Domain(input)}").Append('\0');
                }

                break;
            case StoreMessageType.Write:
                payload.Append(new string((char)input.Byte(), input.OneIn(12) ? input.Below(4096) : input.Below(32)));
                break;
            case StoreMessageType.DirectoryPart:
                payload.Append(input.Word()).Append('\0');
                break;
            default:
                payload.Append(input.OneIn(8) ? $"{Domain(input)}\0" : "");
                break;
        }
    }

    private uint Domain(FuzzInput input) => input.Of<uint>([0, _attacker.Domain.Id, _arena.Neighbour.Domain.Id, 77, 0x7FF0, 65535]);

    private string Path(FuzzInput input, string otherHome)
    {
        string neighbour = StorePath.Home(_arena.Neighbour.Domain.Id);
        return input.Below(24) switch
        {
            0 => Home,
            1 => Home + "/data",
            2 or 3 or 4 => $"data/{(char)('a' + input.Below(6))}",
            5 or 6 => $"data/{(char)('a' + input.Below(6))}/{(char)('a' + input.Below(6))}",
            7 => string.Concat(Enumerable.Repeat("d/", input.Below(64))).Insert(0, "data/") + "e",
            8 => neighbour,
            9 => neighbour + "/data/secret",
            10 => neighbour + "/data",
            11 => "/local/domain",
            12 => "/",
            13 => "@introduceDomain",
            14 => "@releaseDomain",
            15 => otherHome + "/data/a",
            16 => "/vm/" + _attacker.Domain.Uuid,
            17 => "data/" + new string('n', input.Word() % 3100),
            18 => "control/shutdown",
            19 => "device/vbd/51712/state",
            20 => $"{input.Word()}",
            21 => input.Of(["", "//", "data//a", "data/", "../1", "@", "/local/domain/0/backend", "\u00FF", "data/\u0001", "/tool/xenstored"]),
            22 => $"/local/domain/{Domain(input)}/data/a",
            _ => $"data/q{input.Word()}",
        };
    }
}
