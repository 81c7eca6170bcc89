using System.Buffers.Binary;

namespace Dbt.Devices.Network.Nat;

/// <summary>Answers the guest's questions for our two addresses, and remembers who asked (RFC 826).</summary>
internal sealed class ArpResponder(GuestLink link)
{
    private const int Size = 28;
    private const ushort Request = 1, Reply = 2;

    /// <summary>Takes an ARP packet.</summary>
    /// <param name="data">Behind the Ethernet header.</param>
    /// <param name="from">The Ethernet header's source.</param>
    public void Input(ReadOnlySpan<byte> data, MacAddress from)
    {
        // Ethernet and IPv4, with their lengths.
        if (data.Length < Size || BinaryPrimitives.ReadUInt64BigEndian(data) >> 16 != 0x0001_0800_0604)
        {
            return;
        }

        IpAddress sender = IpAddress.Read(data.Slice(14, 4)), target = IpAddress.Read(data.Slice(24, 4));
        link.Learn(sender, from);
        if (BinaryPrimitives.ReadUInt16BigEndian(data[6..]) != Request || !NatAddresses.IsOurs(target))
        {
            return;
        }

        // The question, its halves exchanged.
        Span<byte> frame = stackalloc byte[Ethernet.HeaderSize + Size];
        Ethernet.WriteHeader(frame, from, NatAddresses.GatewayMac, Ethernet.Arp);
        Span<byte> answer = frame[Ethernet.HeaderSize..];
        data[..Size].CopyTo(answer);
        BinaryPrimitives.WriteUInt16BigEndian(answer[6..], Reply);
        NatAddresses.GatewayMac.Write(answer[8..]);
        target.Write(answer[14..18]);
        data.Slice(8, 10).CopyTo(answer[18..]);
        link.SendFrame(frame);
    }
}
