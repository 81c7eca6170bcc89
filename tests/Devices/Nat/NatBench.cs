using System.Net;
using System.Net.NetworkInformation;
using Dbt.Devices.Network;
using Dbt.Devices.Network.Nat;
using PacketDotNet;

namespace Dbt.Tests.Devices.Nat;

/// <summary>
/// A guest's card in front of the user network, with a clock of its own: time passes while nothing happens. Every frame that comes is checked by
/// PacketDotNet, which knows nothing of our code.
/// </summary>
internal sealed class NatBench : TimeProvider, INetworkEnd, IDisposable
{
    public static readonly MacAddress Mac = new(0x0016_3E00_0001);
    public static readonly PhysicalAddress GuestMac = PhysicalAddress.Parse("00163E000001"), GatewayMac = PhysicalAddress.Parse("52550A000202");
    public static readonly IPAddress Guest = IPAddress.Parse("10.0.2.15"), Gateway = IPAddress.Parse("10.0.2.2"), NameServer = IPAddress.Parse("10.0.2.3");

    private readonly List<(Predicate<EthernetPacket> Wants, Action<EthernetPacket> Take)> _listeners = [];
    private readonly Queue<(byte[] Frame, FrameOffload Offload)> _toGuest = [], _toHost = [];
    private readonly bool _segmented;
    private long _milliseconds;
    private bool _refused;

    public NatBench(bool offloads = false, Func<UserNetworkConfiguration, UserNetworkConfiguration>? configure = null)
    {
        var configuration = new UserNetworkConfiguration { GuestMac = Mac };
        Stack = new NatStack(configure is null ? configuration : configure(configuration), this);
        Stack.Link.Connect(this);
        _segmented = offloads;
        Features = new LinkFeatures(offloads, offloads, offloads);
    }

    public event Action? RoomAvailable
    {
        add { }
        remove { }
    }

    public NatStack Stack { get; }

    public LinkFeatures Features { get; set; }

    /// <summary>Frames that nobody listens for.</summary>
    public List<EthernetPacket> Others { get; } = [];

    /// <summary>Whether a frame to the guest is refused, as with a full ring.</summary>
    public Func<bool> Refuses { get; set; } = () => false;

    /// <summary>What the cable does to a frame, either way: 0 carries it, 1 loses it, 2 carries the next one first.</summary>
    public Func<int> Fate { get; set; } = () => 0;

    public long Milliseconds => _milliseconds;

    public int LargestToGuest { get; private set; }

    public override long TimestampFrequency => 1000;

    public override long GetTimestamp() => _milliseconds;

    public bool Send(ReadOnlySpan<byte> frame, FrameOffload offload)
    {
        if (Refuses())
        {
            _refused = true;
            return false;
        }

        byte[] copy = frame.ToArray();
        LargestToGuest = Math.Max(LargestToGuest, copy.Length);
        Carry(_toGuest, copy, offload);
        return true;
    }

    /// <summary>Sends a frame of the guest's.</summary>
    public void Transmit(byte[] frame, FrameOffload offload = default) => Carry(_toHost, frame, offload);

    /// <summary>Sends an IPv4 packet of the guest's, checksums made.</summary>
    public void Transmit(IPAddress to, Packet transport, ProtocolType protocol, IPAddress? from = null)
    {
        var ip = new IPv4Packet(from ?? Guest, to) { PayloadPacket = transport, Protocol = protocol, TimeToLive = 64 };
        switch (transport)
        {
            case TcpPacket tcp:
                tcp.UpdateTcpChecksum();
                break;
            case UdpPacket udp:
                udp.UpdateUdpChecksum();
                break;
        }

        ip.UpdateIPChecksum();
        bool group = to.Equals(IPAddress.Broadcast);
        Transmit(new EthernetPacket(GuestMac, group ? PhysicalAddress.Parse("FFFFFFFFFFFF") : GatewayMac, EthernetType.IPv4) { PayloadPacket = ip }.Bytes);
    }

    public void TransmitUdp(ushort port, IPAddress to, ushort toPort, byte[] data, IPAddress? from = null) =>
        Transmit(to, new UdpPacket(port, toPort) { PayloadData = data }, ProtocolType.Udp, from);

    public void Listen(Predicate<EthernetPacket> wants, Action<EthernetPacket> take) => _listeners.Add((wants, take));

    public void Advance(long milliseconds)
    {
        for (long end = _milliseconds + milliseconds; _milliseconds < end;)
        {
            _milliseconds = Math.Min(end, Math.Max(_milliseconds + 1, Math.Min(end, Stack.Timers.Next)));
            Round(0);
        }
    }

    /// <summary>Lets things happen until something has. Time of the bench passes only where nothing does.</summary>
    public void Run(Func<bool> done, string what)
    {
        for (int idle = 0; !done();)
        {
            if (Round(0))
            {
                idle = 0;
                continue;
            }

            Round(1);
            _milliseconds += 5;
            Assert.True(++idle < 20_000, $"nothing happens any more: {what}");
        }
    }

    /// <summary>Lets everything happen that is under way.</summary>
    public void Settle()
    {
        for (int quiet = 0; quiet < 5;)
        {
            quiet = Round(1) ? 0 : quiet + 1;
        }
    }

    /// <summary>The IPv4 header behind an Ethernet one; null where there is another.</summary>
    public static IPv4Packet? V4(EthernetPacket frame) => frame.PayloadPacket as IPv4Packet;

    public void Dispose() => Stack.Dispose();

    private bool Round(int wait)
    {
        bool moved = false;
        for (int i = 0; i < 64 && _toHost.TryDequeue(out (byte[] Frame, FrameOffload Offload) item); i++)
        {
            Stack.Input(item.Frame, item.Offload);
            moved = true;
        }

        if (_refused)
        {
            _refused = false;
            Stack.RoomAvailable();
        }

        Stack.Step(wait);
        while (_toGuest.TryDequeue(out (byte[] Frame, FrameOffload Offload) item))
        {
            Deliver(item.Frame, item.Offload);
            moved = true;
        }

        return moved || _toHost.Count > 0;
    }

    private void Carry(Queue<(byte[] Frame, FrameOffload Offload)> queue, byte[] frame, FrameOffload offload)
    {
        int fate = Fate();
        if (fate == 1)
        {
            return;
        }

        queue.Enqueue((frame, offload));
        if (fate == 2 && queue.Count > 1)
        {
            queue.Enqueue(queue.Dequeue());
        }
    }

    private void Deliver(byte[] bytes, FrameOffload offload)
    {
        var frame = (EthernetPacket)Packet.ParsePacket(LinkLayers.Ethernet, bytes);
        Assert.Equal(GatewayMac, frame.SourceHardwareAddress);
        if (V4(frame) is IPv4Packet ip)
        {
            Assert.True(ip.ValidIPChecksum, "IP checksum");
            Assert.Equal(bytes.Length - 14, ip.TotalLength);
            Assert.True(bytes.Length <= Stack.Link.Mtu + 14 || offload.Segmentation == SegmentationKind.TcpV4, "larger than the MTU");
            Assert.True(_segmented || !offload.ChecksumBlank, "a blank checksum for one who doesn't take it");
            Assert.True(Features.SegmentV4 || offload.Segmentation == SegmentationKind.None, "a large segment for one who doesn't take it");
            bool whole = ip.FragmentOffset == 0 && (ip.FragmentFlags & 1) == 0;
            if (whole && !offload.ChecksumBlank)
            {
                Assert.True(ip.PayloadPacket is not TcpPacket tcp || tcp.ValidTcpChecksum, "TCP checksum");
                Assert.True(ip.PayloadPacket is not UdpPacket udp || udp.ValidUdpChecksum, "UDP checksum");
                Assert.True(ip.PayloadPacket is not IcmpV4Packet icmp || icmp.ValidIcmpChecksum, "ICMP checksum");
            }
        }

        foreach ((Predicate<EthernetPacket> wants, Action<EthernetPacket> take) in _listeners.ToArray())
        {
            if (wants(frame))
            {
                take(frame);
                return;
            }
        }

        Others.Add(frame);
    }
}
