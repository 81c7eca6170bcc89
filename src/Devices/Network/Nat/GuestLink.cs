using System.Buffers.Binary;
using Dbt.Devices.Network.Offload;

namespace Dbt.Devices.Network.Nat;

/// <summary>
/// The way to the guest: completes headers in front of data and hands frames over. Data is put where its frame is going to be
/// (<see cref="Buffer"/> and <see cref="PayloadOffset"/>), so that nothing is moved.
/// </summary>
internal sealed class GuestLink
{
    /// <summary>Room for the headers of a frame: Ethernet, IP and TCP with all their options.</summary>
    public const int MostHeaders = Ethernet.HeaderSize + 40 + 60;

    /// <summary>Where the data of IP begins in <see cref="Buffer"/>, room for all headers before it.</summary>
    public const int PayloadOffset = MostHeaders;

    private const byte HopLimit = 64;
    private readonly NatAddresses _addresses;
    private readonly MacAddress[] _neighbours = new MacAddress[256];
    private INetworkEnd? _guest;
    private ushort _identification;

    /// <param name="addresses">Who is who.</param>
    /// <param name="mtu">Largest IP packet.</param>
    public GuestLink(NatAddresses addresses, int mtu)
    {
        _addresses = addresses;
        Mtu = mtu;
        Array.Fill(_neighbours, addresses.GuestMac);
    }

    /// <summary>Largest IP packet, but for what the guest cuts by itself.</summary>
    public int Mtu { get; }

    /// <summary>Scratch of the network's thread: a whole frame with the largest IP packet behind <see cref="PayloadOffset"/>.</summary>
    public byte[] Buffer { get; } = new byte[PayloadOffset + 65535];

    /// <summary>Whether the guest has refused a frame, and has not said that it has room again.</summary>
    public bool IsBlocked { get; private set; }

    /// <summary>What the guest takes.</summary>
    public LinkFeatures Features => _guest?.Features ?? default;

    /// <summary>Plugs the guest in.</summary>
    public void Connect(INetworkEnd guest) => _guest = guest;

    /// <summary>The guest takes frames again.</summary>
    public void Unblock() => IsBlocked = false;

    /// <summary>Remembers who has an address. The guest's network has 256 of them: a table that can't grow.</summary>
    public void Learn(IpAddress address, MacAddress mac)
    {
        if (_addresses.IsGuest(address) && !mac.IsMulticast && mac.Value != 0)
        {
            _neighbours[(byte)address.Bits] = mac;
        }
    }

    /// <summary>Hands over a whole frame.</summary>
    /// <returns>False where the guest has no room.</returns>
    public bool SendFrame(ReadOnlySpan<byte> frame, FrameOffload offload = default)
    {
        if (_guest is null || !_guest.Send(frame, offload))
        {
            IsBlocked = true;
            return false;
        }

        return true;
    }

    /// <summary>Writes Ethernet and IP header in front of data and sends it whole.</summary>
    /// <param name="buffer">Holds the data, and room for headers before it.</param>
    /// <param name="offset">Where the data begins.</param>
    /// <param name="length">Bytes of it.</param>
    /// <param name="source">From.</param>
    /// <param name="destination">To.</param>
    /// <param name="protocol">Of the data.</param>
    /// <param name="offload">What is left undone in it.</param>
    /// <returns>False where the guest has no room.</returns>
    public bool SendIp(byte[] buffer, int offset, int length, IpAddress source, IpAddress destination, byte protocol, FrameOffload offload)
    {
        int start = offset - WriteHeaders(buffer, offset, length, source, destination, protocol, 0, ++_identification);
        return SendFrame(buffer.AsSpan(start, offset + length - start), offload);
    }

    /// <summary>Sends what may be larger than the link's MTU, in fragments then.</summary>
    public void SendFragmented(byte[] buffer, int offset, int length, IpAddress source, IpAddress destination, byte protocol, FrameOffload offload)
    {
        int most = (Mtu - 20) & ~7;
        if (length <= Mtu - 20)
        {
            SendIp(buffer, offset, length, source, destination, protocol, offload);
            return;
        }

        // Headers are written over the end of the fragment before, which has been sent.
        ushort identification = ++_identification;
        for (int at = 0; at < length && !IsBlocked; at += most)
        {
            int size = Math.Min(most, length - at);
            ushort field = (ushort)((at / 8) | (at + size < length ? 0x2000 : 0));
            int start = offset + at - WriteHeaders(buffer, offset + at, size, source, destination, protocol, field, identification);
            SendFrame(buffer.AsSpan(start, offset + at + size - start));
        }
    }

    /// <summary>Sends a UDP datagram whose data is at <see cref="PayloadOffset"/> + 8 of <see cref="Buffer"/>.</summary>
    public void SendUdp(int length, IpAddress source, ushort sourcePort, IpAddress destination, ushort destinationPort)
    {
        int size = length + 8;
        if (size > 65515)
        {
            return;
        }

        Span<byte> datagram = Buffer.AsSpan(PayloadOffset, size);
        BinaryPrimitives.WriteUInt16BigEndian(datagram, sourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(datagram[2..], destinationPort);
        BinaryPrimitives.WriteUInt16BigEndian(datagram[4..], (ushort)size);
        datagram[6..8].Clear();
        bool blank = Features.ChecksumBlank && size + 20 <= Mtu;
        ushort sum = PseudoHeader.Sum(source, destination, IpProtocol.Udp, size);
        ushort checksum = blank ? sum : (ushort)~InternetChecksum.Sum(datagram, sum);
        BinaryPrimitives.WriteUInt16BigEndian(datagram[6..], checksum == 0 ? (ushort)0xFFFF : checksum);
        SendFragmented(Buffer, PayloadOffset, size, source, destination, IpProtocol.Udp, new FrameOffload(ChecksumBlank: blank, DataValidated: true));
    }

    private int WriteHeaders(byte[] buffer, int offset, int length, IpAddress source, IpAddress destination, byte protocol, ushort fragment, ushort identification)
    {
        Span<byte> header = buffer.AsSpan(offset - 20, 20);
        BinaryPrimitives.WriteUInt16BigEndian(header, 0x4500);
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], (ushort)(length + 20));
        BinaryPrimitives.WriteUInt16BigEndian(header[4..], identification);
        BinaryPrimitives.WriteUInt16BigEndian(header[6..], fragment);
        header[8] = HopLimit;
        header[9] = protocol;
        header[10..12].Clear();
        source.Write(header[12..16]);
        destination.Write(header[16..20]);
        PseudoHeader.Store(header[10..], header);
        Ethernet.WriteHeader(buffer.AsSpan(offset - 34), MacOf(destination), NatAddresses.GatewayMac, Ethernet.Ipv4);
        return 34;
    }

    private MacAddress MacOf(IpAddress address) => address == NatAddresses.Broadcast ? MacAddress.Broadcast : _neighbours[(byte)address.Bits];
}
