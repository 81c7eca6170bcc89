using System.Buffers.Binary;
using System.Net;
using PacketDotNet;
using PacketDotNet.DhcpV4;
using PacketDotNet.Utils;

namespace Dbt.Devices.Network.Nat;

/// <summary>
/// Gives the guest its one address (RFC 2131, 2132). Requests are read here with their bounds checked, as the library throws for what is
/// malformed; answers are made with it.
/// </summary>
internal sealed class DhcpServer(GuestLink link, NatAddresses addresses, UserNetworkConfiguration configuration)
{
    private const ushort ServerPort = 67, ClientPort = 68;
    private const uint Cookie = 0x6382_5363, LeaseSeconds = 86_400;
    private const int FixedSize = 236, LeastSize = 300;
    private const byte BootRequest = 1, OptionPad = 0, OptionEnd = 255, OptionRequestedAddress = 50, OptionMessageType = 53, OptionServer = 54;

    /// <summary>Whether a packet is a DHCP client's: to a broadcast address, or to us.</summary>
    public static bool IsRequest(in IpPacket packet) =>
        packet.Payload.Length >= 8 + FixedSize + 4
        && BinaryPrimitives.ReadUInt16BigEndian(packet.Payload[2..]) == ServerPort
        && (NatAddresses.IsGroup(packet.Destination) || NatAddresses.IsOurs(packet.Destination));

    /// <summary>Takes a request.</summary>
    /// <param name="data">Behind the UDP header, at least the fixed part and the cookie.</param>
    /// <param name="from">The client's card.</param>
    public void Input(ReadOnlySpan<byte> data, MacAddress from)
    {
        if (data[0] != BootRequest || data[1] != 1 || data[2] != 6 || BinaryPrimitives.ReadUInt32BigEndian(data[FixedSize..]) != Cookie)
        {
            return;
        }

        IpAddress client = IpAddress.Read(data.Slice(12, 4)), any = IpAddress.V4(0);
        IpAddress requested = ReadAddress(data, OptionRequestedAddress) ?? client;
        bool ours = (ReadAddress(data, OptionServer) ?? NatAddresses.Gateway) == NatAddresses.Gateway;
        ReadOnlySpan<byte> type = Find(data, OptionMessageType);
        switch (type.Length == 1 ? (DhcpV4MessageType)type[0] : 0)
        {
            case DhcpV4MessageType.Discover:
                Answer(data, from, DhcpV4MessageType.Offer, addresses.Guest);
                break;
            case DhcpV4MessageType.Request when ours:
                bool right = requested == addresses.Guest;
                Answer(data, from, right ? DhcpV4MessageType.Ack : DhcpV4MessageType.Nak, right ? addresses.Guest : any);
                break;
            case DhcpV4MessageType.Inform:
                Answer(data, from, DhcpV4MessageType.Ack, any);
                break;
            default:
                break; // the address is the guest's, released or not
        }
    }

    private static IpAddress? ReadAddress(ReadOnlySpan<byte> data, byte option) =>
        Find(data, option) is { Length: 4 } value ? IpAddress.Read(value) : null;

    private static ReadOnlySpan<byte> Find(ReadOnlySpan<byte> data, byte option)
    {
        ReadOnlySpan<byte> rest = data[(FixedSize + 4)..];
        while (rest.Length > 0 && rest[0] != OptionEnd)
        {
            if (rest[0] == OptionPad)
            {
                rest = rest[1..];
                continue;
            }

            if (rest.Length < 2 || rest[1] > rest.Length - 2)
            {
                return default;
            }

            if (rest[0] == option)
            {
                return rest.Slice(2, rest[1]);
            }

            rest = rest[(2 + rest[1])..];
        }

        return default;
    }

    private void Answer(ReadOnlySpan<byte> request, MacAddress client, DhcpV4MessageType type, IpAddress given)
    {
        bool refused = type == DhcpV4MessageType.Nak;
        var answer = new DhcpV4Packet(new ByteArraySegment(new byte[FixedSize + 4]), null)
        {
            Operation = DhcpV4Operation.BootReply,
            HardwareType = DhcpV4HardwareType.Ethernet,
            HardwareLength = 6,
            TransactionId = BinaryPrimitives.ReadUInt32BigEndian(request[4..]),
            Flags = BinaryPrimitives.ReadUInt16BigEndian(request[10..]),
            ClientAddress = new IPAddress(refused ? [0, 0, 0, 0] : request.Slice(12, 4)),
            YourAddress = given.ToIPAddress(),
            ServerAddress = NatAddresses.Gateway.ToIPAddress(),
            GatewayAddress = IPAddress.Any,
            ClientHardwareAddress = Ethernet.ToPhysical(MacAddress.Read(request[28..])),
            MagicNumber = Cookie,
        };
        answer.SetOptions(refused ? Refusal() : Settings(type, lease: given.Bits != 0));
        byte[] bytes = answer.Bytes;
        Span<byte> target = link.Buffer.AsSpan(UdpFlow.DataOffset, Math.Max(bytes.Length + 1, LeastSize));
        target.Clear();
        bytes.CopyTo(target);
        target[bytes.Length] = OptionEnd;

        // A client without an address can't be asked for its card; the card is known from the frame, unless it wants a broadcast.
        bool broadcast = refused || (request[10] & 0x80) != 0 || given.Bits == 0;
        link.Learn(addresses.Guest, client);
        IpAddress current = IpAddress.Read(request.Slice(12, 4));
        IpAddress to = addresses.IsGuest(current) && !refused ? current : broadcast ? NatAddresses.Broadcast : given;
        link.SendUdp(target.Length, NatAddresses.Gateway, ServerPort, to, ClientPort);
    }

    private static List<DhcpV4Option> Refusal() =>
        [new MessageTypeOption(DhcpV4MessageType.Nak), new ServerIdOption(NatAddresses.Gateway.ToIPAddress())];

    // RFC 1123: letters, digits and hyphens, at most 63.
    private string? HostName() => configuration.HostName is not string name ? null
        : string.Concat(name.Where(c => char.IsAsciiLetterOrDigit(c) || c == '-').Take(63)).Trim('-');

    private List<DhcpV4Option> Settings(DhcpV4MessageType type, bool lease)
    {
        IPAddress gateway = NatAddresses.Gateway.ToIPAddress();
        var options = new List<DhcpV4Option> { new MessageTypeOption(type), new ServerIdOption(gateway) };
        if (lease)
        {
            options.Add(new AddressTimeOption(TimeSpan.FromSeconds(LeaseSeconds)));
        }

        options.Add(new SubnetMaskOption(IpAddress.V4(NatAddresses.Mask).ToIPAddress()));
        options.Add(new RouterOption(gateway));
        options.Add(new DomainNameServerOption(NatAddresses.NameServer.ToIPAddress()));
        options.Add(new BroadcastAddressOption(IpAddress.V4(NatAddresses.Network | ~NatAddresses.Mask).ToIPAddress()));
        options.Add(new MtuInterfaceOption((ushort)link.Mtu));
        if (HostName() is { Length: > 0 } name)
        {
            options.Add(new HostNameOption(name));
        }

        return options;
    }
}
