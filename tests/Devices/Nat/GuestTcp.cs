using System.Net;
using Dbt.Devices.Network;
using PacketDotNet;
using PacketDotNet.Utils;

namespace Dbt.Tests.Devices.Nat;

/// <summary>The guest's end of one TCP connection: a small TCP of our own, by PacketDotNet, that repeats what is lost and puts in order what isn't.</summary>
internal sealed class GuestTcp
{
    private const int Timeout = 300;

    private readonly NatBench _bench;
    private readonly bool _large;
    private readonly ushort _port, _remotePort;
    private readonly IPAddress _remote;
    private readonly SortedDictionary<uint, byte[]> _ahead = [];
    private readonly MemoryStream _received = new();
    private readonly uint _first;
    private byte[] _data = [];
    private uint _una, _nxt, _rcvNxt;
    private uint _window;
    private int _scale, _mss = 1460;
    private long _sentAt;
    private bool _finish, _repeated;

    private GuestTcp(NatBench bench, ushort port, IPAddress remote, ushort remotePort, uint first, bool large)
    {
        _bench = bench;
        _port = port;
        _remote = remote;
        _remotePort = remotePort;
        _first = _una = first;
        _nxt = first + 1;
        _large = large;
        bench.Listen(Wants, Take);
    }

    /// <summary>Window that is announced; 0 closes it.</summary>
    public int ReceiveWindow { get; set; } = 1 << 20;

    /// <summary>Segments of this connection are also sent past this.</summary>
    public bool SentByOthers { get; set; }

    public bool IsEstablished { get; private set; }

    public bool IsReset { get; private set; }

    /// <summary>The other side has sent its FIN, and all before it is here.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>All that was given to <see cref="Write"/> and <see cref="Finish"/> has been acknowledged.</summary>
    public bool IsDrained => IsEstablished && _una == End;

    public uint NextExpected => _rcvNxt;

    public uint NextSent => _nxt;

    public byte[] Received => _received.ToArray();

    public long ReceivedLength => _received.Length;

    public int MaxUnsent { get; private set; }

    public override string ToString() => $"una {_una - _first} nxt {_nxt - _first} window {_window} end {End - _first} received {_received.Length}";

    private uint End => _first + 1 + (uint)_data.Length + (_finish ? 1u : 0);

    /// <summary>Asks for a connection.</summary>
    public static GuestTcp Connect(NatBench bench, ushort port, IPAddress remote, ushort remotePort, uint first = 0xFFFF_F000, bool large = false)
    {
        var tcp = new GuestTcp(bench, port, remote, remotePort, first, large);
        tcp.SendSyn(acknowledges: false);
        return tcp;
    }

    /// <summary>Answers the first SYN to a port; the connection is there when that has come.</summary>
    public static Func<GuestTcp?> Accept(NatBench bench, ushort port)
    {
        GuestTcp? accepted = null;
        bench.Listen(
            frame => accepted is null && NatBench.V4(frame)?.PayloadPacket is TcpPacket { Synchronize: true, Acknowledgment: false } syn && syn.DestinationPort == port,
            frame =>
            {
                var ip = (IPv4Packet)frame.PayloadPacket;
                var syn = (TcpPacket)ip.PayloadPacket;
                accepted = new GuestTcp(bench, port, ip.SourceAddress, syn.SourcePort, 5000, large: false);
                accepted.TakeOptions(syn);
                accepted._rcvNxt = syn.SequenceNumber + 1;
                accepted.SendSyn(acknowledges: true);
            });
        return () => accepted;
    }

    public IPAddress Remote => _remote;

    public void Write(byte[] data)
    {
        _data = [.. _data, .. data];
        Push();
    }

    public void Finish()
    {
        _finish = true;
        Push();
    }

    public void Reset() => Transmit(_nxt, [], tcp => tcp.Reset = true);

    /// <summary>Announces the window as it is.</summary>
    public void Announce() => Transmit(_nxt, [], static _ => { });

    /// <summary>Repeats what has not been acknowledged for a while; to be called now and then.</summary>
    public void Tick()
    {
        if (_bench.Milliseconds - _sentAt < Timeout || IsReset)
        {
            return;
        }

        _sentAt = _bench.Milliseconds;
        if (!IsEstablished)
        {
            SendSyn(acknowledges: _rcvNxt != 0);
        }
        else if (_una != End)
        {
            _nxt = _una;
            _repeated = false;
            Push();
            if (_nxt == _una)
            {
                Transmit(_una - 1, [], static _ => { }); // a probe of a closed window
            }
        }
    }

    private bool Wants(EthernetPacket frame) =>
        NatBench.V4(frame) is { PayloadPacket: TcpPacket tcp } ip && ip.SourceAddress.Equals(_remote) && tcp.SourcePort == _remotePort && tcp.DestinationPort == _port;

    private void Take(EthernetPacket frame)
    {
        var tcp = (TcpPacket)((IPv4Packet)frame.PayloadPacket).PayloadPacket;
        if (tcp.Reset)
        {
            IsReset |= !IsEstablished || tcp.SequenceNumber == _rcvNxt;
            return;
        }

        if (tcp.Synchronize)
        {
            if (!IsEstablished && tcp.Acknowledgment && tcp.AcknowledgmentNumber == _first + 1)
            {
                TakeOptions(tcp);
                _rcvNxt = tcp.SequenceNumber + 1;
                Establish(tcp.WindowSize);
            }

            Announce();
            Push();
            return;
        }

        if (!IsEstablished)
        {
            Establish((uint)tcp.WindowSize << _scale);
        }

        TakeAcknowledgement(tcp);
        TakeData(tcp);
        Push();
    }

    private void Establish(uint window)
    {
        IsEstablished = true;
        _una = _nxt = _first + 1;
        _window = window;
    }

    private void TakeOptions(TcpPacket syn)
    {
        ReadOnlySpan<byte> options = syn.Options;
        for (int at = 0; at < options.Length && options[at] != 0; at += options[at] == 1 ? 1 : options[at + 1])
        {
            if (options[at] == 2)
            {
                _mss = (options[at + 2] << 8) | options[at + 3];
            }
            else if (options[at] == 3)
            {
                _scale = options[at + 2];
            }
        }
    }

    private void TakeAcknowledgement(TcpPacket tcp)
    {
        uint acknowledged = tcp.AcknowledgmentNumber;
        if ((int)(acknowledged - _una) > 0)
        {
            Assert.True(SentByOthers || (int)(acknowledged - End) <= 0, "more is acknowledged than there is");
            _una = acknowledged;
            _nxt = (int)(_nxt - _una) < 0 ? _una : _nxt;
            _sentAt = _bench.Milliseconds;
            _repeated = false;
        }
        else if (acknowledged == _una && tcp.PayloadData is not { Length: > 0 } && _una != _nxt && !_repeated && (uint)tcp.WindowSize << _scale == _window)
        {
            _repeated = true;
            SendData(_una, Math.Min(_mss, DataLeft(_una)));
        }

        _window = (uint)tcp.WindowSize << _scale;
    }

    private void TakeData(TcpPacket tcp)
    {
        byte[] payload = tcp.PayloadData ?? [];
        uint sequence = tcp.SequenceNumber;
        if (payload.Length == 0 && !tcp.Finished)
        {
            if ((int)(sequence - _rcvNxt) < 0)
            {
                Announce(); // a probe
            }

            return;
        }

        Assert.True(payload.Length == 0 || (int)(sequence + (uint)payload.Length - _rcvNxt) <= (1 << 20), "more than the window");
        if (payload.Length > 0 && (int)(sequence - _rcvNxt) >= 0)
        {
            if (!_ahead.TryGetValue(sequence, out byte[]? old) || old.Length < payload.Length)
            {
                _ahead[sequence] = payload;
            }
        }
        else if (payload.Length > 0 && (int)(sequence + (uint)payload.Length - _rcvNxt) > 0)
        {
            _ahead[_rcvNxt] = payload[(int)(_rcvNxt - sequence)..];
        }

        while (_ahead.Count > 0)
        {
            uint? next = _ahead.Keys.Cast<uint?>().FirstOrDefault(key => (int)(key!.Value - _rcvNxt) <= 0);
            if (next is not uint start)
            {
                break;
            }

            byte[] piece = _ahead[start];
            _ahead.Remove(start);
            int skip = (int)(_rcvNxt - start);
            if (skip < piece.Length)
            {
                _received.Write(piece, skip, piece.Length - skip);
                _rcvNxt += (uint)(piece.Length - skip);
            }
        }

        if (tcp.Finished && sequence + (uint)payload.Length == _rcvNxt && !HasEnded)
        {
            HasEnded = true;
            _rcvNxt++;
        }

        Announce();
    }

    private int DataLeft(uint sequence) => Math.Max(0, (int)(_first + 1 + (uint)_data.Length - sequence));

    private void Push()
    {
        while (IsEstablished)
        {
            int room = (int)(_window - (_nxt - _una)), left = DataLeft(_nxt);
            int length = Math.Min(Math.Min(left, room), _large ? 60_000 : _mss);
            MaxUnsent = Math.Max(MaxUnsent, left);
            if (length > 0)
            {
                SendData(_nxt, length);
                _nxt += (uint)length;
            }
            else if (left == 0 && _finish && _nxt != End)
            {
                Transmit(_nxt, [], static tcp => tcp.Finished = true);
                _nxt = End;
            }
            else
            {
                return;
            }
        }
    }

    private void SendData(uint sequence, int length)
    {
        int start = (int)(sequence - (_first + 1));
        if (length > 0)
        {
            Transmit(sequence, _data[start..(start + length)], static tcp => tcp.Push = true);
        }
        else if (_finish)
        {
            Transmit(sequence, [], static tcp => tcp.Finished = true);
        }
    }

    private void SendSyn(bool acknowledges)
    {
        _sentAt = _bench.Milliseconds;
        Transmit(_first, [], tcp =>
        {
            tcp.Synchronize = true;
            tcp.Acknowledgment = acknowledges;
            tcp.WindowSize = ushort.MaxValue;
        }, [2, 4, 0x05, 0xB4, 1, 3, 3, 5]);
    }

    private void Transmit(uint sequence, byte[] payload, Action<TcpPacket> set, byte[]? options = null)
    {
        // The library's setter of options doesn't make room for them: they are there from the start.
        var header = new byte[20 + (options?.Length ?? 0)];
        options?.CopyTo(header, 20);
        header[12] = (byte)(header.Length / 4 << 4);
        var tcp = new TcpPacket(new ByteArraySegment(header))
        {
            SourcePort = _port,
            DestinationPort = _remotePort,
            SequenceNumber = sequence,
            AcknowledgmentNumber = _rcvNxt,
            Acknowledgment = true,
            WindowSize = (ushort)Math.Min(ReceiveWindow >> 5, ushort.MaxValue),
            PayloadData = payload,
        };
        set(tcp);
        if (!_large || payload.Length <= _mss)
        {
            _bench.Transmit(_remote, tcp, ProtocolType.Tcp);
            return;
        }

        var ip = new IPv4Packet(NatBench.Guest, _remote) { PayloadPacket = tcp, Protocol = ProtocolType.Tcp, TimeToLive = 64 };
        ip.UpdateIPChecksum();
        tcp.Checksum = 0x1234; // blank: nobody may look at it
        _bench.Transmit(
            new EthernetPacket(NatBench.GuestMac, NatBench.GatewayMac, EthernetType.IPv4) { PayloadPacket = ip }.Bytes,
            new FrameOffload(ChecksumBlank: true, DataValidated: true, SegmentationKind.TcpV4, (ushort)_mss));
    }
}
