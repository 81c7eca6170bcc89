using System.Buffers.Binary;

namespace Dbt.Devices.Network.Nat;

/// <summary>Places and numbers of an Ethernet II header.</summary>
internal static class Ethernet
{
    /// <summary>Bytes of the header.</summary>
    public const int HeaderSize = 14;

    /// <summary>EtherTypes.</summary>
    public const ushort Ipv4 = 0x0800, Arp = 0x0806;

    /// <summary>Writes a header.</summary>
    public static void WriteHeader(Span<byte> frame, MacAddress destination, MacAddress source, ushort type)
    {
        destination.Write(frame);
        source.Write(frame[MacAddress.Length..]);
        BinaryPrimitives.WriteUInt16BigEndian(frame[12..], type);
    }
}
