using System.Buffers.Binary;
using System.Net;

namespace Dbt.Devices.Network.Nat;

/// <summary>
/// The network behind the guest's card, without a thread: whoever owns it calls <see cref="Input"/> and <see cref="Step"/> from one. Every
/// table is bounded, and nothing that comes in throws.
/// </summary>
internal sealed class NatStack : IDisposable
{
    private const long LargeBuffers = 64 << 20;

    private readonly TimeProvider _clock;
    private readonly long _start;
    private readonly UserNetworkConfiguration _configuration;
    private readonly HostResolver _resolver;
    private readonly ArpResponder _arp;
    private readonly DhcpServer _dhcp;
    private readonly FragmentTable _fragments;
    private readonly List<Forward> _forwards = [];
    private List<PollSource> _later = [];
    private List<PollSource> _turn = [];
    private readonly List<PollSource> _waitForRoom = [];

    /// <summary>Starts the forwards.</summary>
    /// <exception cref="Runtime.HostException">A port of the host can't be had.</exception>
    public NatStack(UserNetworkConfiguration configuration, TimeProvider clock)
    {
        _clock = clock;
        _start = clock.GetTimestamp();
        _configuration = configuration;
        Addresses = new NatAddresses(configuration);
        Link = new GuestLink(Addresses, configuration.Mtu);
        _resolver = new HostResolver(configuration.ResolverFile);
        _arp = new ArpResponder(Link);
        _dhcp = new DhcpServer(Link, Addresses, configuration);
        _fragments = new FragmentTable(this);
        Icmp = new IcmpTable(this);
        Tcp = new TcpTable(this);
        Udp = new UdpTable(this);
        try
        {
            foreach (PortForward forward in configuration.Forwards)
            {
                _forwards.Add(Forward.Start(this, forward));
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Who is who.</summary>
    public NatAddresses Addresses { get; }

    /// <summary>The way to the guest.</summary>
    public GuestLink Link { get; }

    /// <summary>Deadlines.</summary>
    public TimerQueue Timers { get; } = new();

    /// <summary>Memory for data under way.</summary>
    public BufferPool Pool { get; } = new(LargeBuffers);

    /// <summary>The host's sockets.</summary>
    public HostPoller Poller { get; } = new();

    /// <summary>Connections.</summary>
    public TcpTable Tcp { get; }

    /// <summary>Datagrams.</summary>
    public UdpTable Udp { get; }

    /// <summary>Echoes and errors.</summary>
    public IcmpTable Icmp { get; }

    /// <summary>Packets that wait for their fragments.</summary>
    public int Incomplete => _fragments.Count;

    /// <summary>Where the forwards listen, in their order.</summary>
    public IReadOnlyList<IPEndPoint> ForwardPorts => [.. _forwards.Select(forward => forward.HostEndPoint)];

    /// <summary>Milliseconds since the start.</summary>
    public long Now => (long)_clock.GetElapsedTime(_start).TotalMilliseconds;

    /// <summary>Takes a frame of the guest.</summary>
    public void Input(ReadOnlySpan<byte> frame, FrameOffload offload)
    {
        if (frame.Length < Ethernet.HeaderSize)
        {
            return;
        }

        MacAddress to = MacAddress.Read(frame), from = MacAddress.Read(frame[6..]);
        if ((to != NatAddresses.GatewayMac && !to.IsMulticast) || from.IsMulticast)
        {
            return;
        }

        ReadOnlySpan<byte> payload = frame[Ethernet.HeaderSize..];
        switch (BinaryPrimitives.ReadUInt16BigEndian(frame[12..]))
        {
            case Ethernet.Arp:
                _arp.Input(payload, from);
                break;
            case Ethernet.Ipv4 when IpPacket.TryParseV4(payload, out IpPacket packet):
                InputV4(packet, from, trusted: offload.ChecksumBlank || offload.DataValidated);
                break;
            default:
                break;
        }
    }

    /// <summary>Sleeps until something is to be done, and does it: deadlines, the host's sockets, then what became of them.</summary>
    /// <param name="mostMilliseconds">Longest sleep; negative for none but the deadlines.</param>
    /// <param name="mustStay">See <see cref="HostPoller.Wait"/>.</param>
    public void Step(int mostMilliseconds, Func<bool>? mustStay = null)
    {
        Timers.Run(Now);
        Flush();
        long due = _later.Count > 0 ? 0 : Timers.Next == long.MaxValue ? -1 : Math.Clamp(Timers.Next - Now, 0, int.MaxValue);
        int wait = due < 0 ? mostMilliseconds : mostMilliseconds < 0 ? (int)due : (int)Math.Min(due, mostMilliseconds);
        Poller.Wait(wait, mustStay);
        Flush();
    }

    /// <summary>Gives those a turn who have something to do: acknowledgements owed for a batch of frames, and what is left of a long transfer.</summary>
    public void Flush()
    {
        (_turn, _later) = (_later, _turn);
        foreach (PollSource source in _turn)
        {
            source.IsListed = false;
            source.Ready(PollEvents.None);
        }

        _turn.Clear();
    }

    /// <summary>Calls a source again, soon.</summary>
    public void Later(PollSource source)
    {
        if (!source.IsListed)
        {
            source.IsListed = true;
            _later.Add(source);
        }
    }

    /// <summary>Calls a source again when the guest has room.</summary>
    public void WaitForRoom(PollSource source)
    {
        if (!_waitForRoom.Contains(source))
        {
            _waitForRoom.Add(source);
        }
    }

    /// <summary>The guest has room for frames again.</summary>
    public void RoomAvailable()
    {
        Link.Unblock();
        foreach (PollSource source in _waitForRoom)
        {
            Later(source);
        }

        _waitForRoom.Clear();
    }

    /// <summary>Where on the host something goes that the guest sends; null where it may not, or can't.</summary>
    public IPEndPoint? HostTarget(IpAddress address, ushort port)
    {
        if (_configuration.Restrict || port == 0)
        {
            return null;
        }

        if (NatAddresses.IsNameServer(address, port))
        {
            return _resolver.Current;
        }

        return address == NatAddresses.Gateway ? (_configuration.Loopback ? new IPEndPoint(IPAddress.Loopback, port) : null)
            : NatAddresses.IsOutside(address) ? new IPEndPoint(address.ToIPAddress(), port)
            : null;
    }

    /// <summary>Whether the guest may send echoes to an address.</summary>
    public bool MayEcho(IpAddress address) => !_configuration.Restrict && NatAddresses.IsOutside(address);

    /// <summary>A name server didn't answer: the next one gets the next question.</summary>
    public void NameServerFailed(IPEndPoint server) => _resolver.Failed(server);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Forward forward in _forwards)
        {
            forward.Dispose();
        }

        Tcp.Dispose();
        Udp.Dispose();
        Icmp.Dispose();
        Poller.Dispose();
    }

    private void InputV4(IpPacket packet, MacAddress from, bool trusted)
    {
        bool isGuest = Addresses.IsGuest(packet.Source);
        if (!isGuest && packet.Source.Bits != 0)
        {
            return;
        }

        if (packet.IsFragment)
        {
            if (!isGuest || !_fragments.TryComplete(ref packet))
            {
                return;
            }

            trusted = false;
        }

        if (packet.Protocol == IpProtocol.Udp && DhcpServer.IsRequest(packet))
        {
            if (trusted || packet.HasValidChecksum() || packet.Payload[6..8].IndexOfAnyExcept((byte)0) < 0)
            {
                _dhcp.Input(packet.Payload[8..], from);
            }

            return;
        }

        if (!isGuest || NatAddresses.IsGroup(packet.Destination))
        {
            return; // nobody else is on this network to hear what is meant for many
        }

        Link.Learn(packet.Source, from);
        switch (packet.Protocol)
        {
            case IpProtocol.Tcp when TcpSegment.TryParse(packet.Payload, out TcpSegment segment) && (trusted || packet.HasValidChecksum()):
                Tcp.Input(packet, segment);
                break;
            case IpProtocol.Udp:
                Udp.Input(packet, trusted);
                break;
            case IpProtocol.Icmp:
                Icmp.Input(packet);
                break;
            case IpProtocol.Tcp:
                break;
            default:
                Icmp.SendUnreachable(packet, IcmpTable.ProtocolUnreachable);
                break;
        }
    }
}
