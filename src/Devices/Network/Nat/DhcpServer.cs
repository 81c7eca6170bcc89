using System.Buffers.Binary;
using System.Text;

namespace Dbt.Devices.Network.Nat;

/// <summary>
/// Gives the guest its one address (RFC 2131, 2132). Written and read here: PacketDotNet throws for what is malformed, and its setter of options
/// sets none.
/// </summary>
internal sealed class DhcpServer(GuestLink link, NatAddresses addresses, UserNetworkConfiguration configuration)
{
    private const ushort ServerPort = 67, ClientPort = 68;
    private const uint Cookie = 0x6382_5363, LeaseSeconds = 86_400;
    private const int FixedSize = 236, LeastSize = 300, MostSize = 548;
    private const byte BootRequest = 1, BootReply = 2, Discover = 1, Offer = 2, Request = 3, Ack = 5, Nak = 6, Inform = 8;
    private const byte OptionPad = 0, OptionMask = 1, OptionRouter = 3, OptionNameServer = 6, OptionHostName = 12, OptionMtu = 26, OptionBroadcast = 28,
        OptionRequestedAddress = 50, OptionLease = 51, OptionMessageType = 53, OptionServer = 54, OptionEnd = 255;

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
        switch (type.Length == 1 ? type[0] : 0)
        {
            case Discover:
                Answer(data, from, Offer, addresses.Guest);
                break;
            case Request when ours:
                bool right = requested == addresses.Guest;
                Answer(data, from, right ? Ack : Nak, right ? addresses.Guest : any);
                break;
            case Inform:
                Answer(data, from, Ack, any);
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

    private void Answer(ReadOnlySpan<byte> request, MacAddress client, byte type, IpAddress given)
    {
        bool refused = type == Nak;
        Span<byte> answer = link.Buffer.AsSpan(UdpFlow.DataOffset, MostSize);
        answer.Clear();
        request[..FixedSize].CopyTo(answer);
        answer[0] = BootReply;
        answer[3] = 0;
        answer[8..10].Clear();
        if (refused)
        {
            answer[12..16].Clear();
        }

        given.Write(answer[16..20]);
        NatAddresses.Gateway.Write(answer[20..24]);
        answer[24..28].Clear();
        answer[44..FixedSize].Clear();
        BinaryPrimitives.WriteUInt32BigEndian(answer[FixedSize..], Cookie);
        int end = FixedSize + 4;
        Add(answer, ref end, OptionMessageType, [type]);
        Add(answer, ref end, OptionServer, NatAddresses.Gateway);
        if (!refused)
        {
            AddSettings(answer, ref end, lease: given.Bits != 0);
        }

        answer[end++] = OptionEnd;

        // A client without an address can't be asked for its card; the card is known from the frame, unless it wants a broadcast.
        link.Learn(addresses.Guest, client);
        IpAddress current = IpAddress.Read(request.Slice(12, 4));
        bool broadcast = refused || (request[10] & 0x80) != 0 || given.Bits == 0;
        IpAddress to = addresses.IsGuest(current) && !refused ? current : broadcast ? NatAddresses.Broadcast : given;
        link.SendUdp(Math.Max(end, LeastSize), NatAddresses.Gateway, ServerPort, to, ClientPort);
    }

    private void AddSettings(Span<byte> answer, ref int end, bool lease)
    {
        if (lease)
        {
            Add(answer, ref end, OptionLease, IpAddress.V4(LeaseSeconds));
        }

        Add(answer, ref end, OptionMask, IpAddress.V4(NatAddresses.Mask));
        Add(answer, ref end, OptionRouter, NatAddresses.Gateway);
        Add(answer, ref end, OptionNameServer, NatAddresses.NameServer);
        Add(answer, ref end, OptionBroadcast, IpAddress.V4(NatAddresses.Network | ~NatAddresses.Mask));
        Add(answer, ref end, OptionMtu, [(byte)(link.Mtu >> 8), (byte)link.Mtu]);
        if (HostName() is { Length: > 0 } name)
        {
            Add(answer, ref end, OptionHostName, Encoding.ASCII.GetBytes(name));
        }
    }

    private static void Add(Span<byte> answer, ref int end, byte option, IpAddress value)
    {
        Span<byte> bytes = stackalloc byte[4];
        value.Write(bytes);
        Add(answer, ref end, option, bytes);
    }

    private static void Add(Span<byte> answer, ref int end, byte option, ReadOnlySpan<byte> value)
    {
        answer[end++] = option;
        answer[end++] = (byte)value.Length;
        value.CopyTo(answer[end..]);
        end += value.Length;
    }

    // RFC 1123: letters, digits and hyphens, at most 63.
    private string? HostName() => configuration.HostName is not string name ? null
        : string.Concat(name.Where(c => char.IsAsciiLetterOrDigit(c) || c == '-').Take(63)).Trim('-');
}
