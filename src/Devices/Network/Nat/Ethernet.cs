using System.Buffers.Binary;
using System.Net.NetworkInformation;

namespace Dbt.Devices.Network.Nat;

/// <summary>Places and numbers of an Ethernet II header.</summary>
internal static class Ethernet
{
    /// <summary>Bytes of the header.</summary>
    public const int HeaderSize = 14;

    /// <summary>EtherTypes.</summary>
    public const ushort Ipv4 = 0x0800, Arp = 0x0806, Ipv6 = 0x86DD;

    /// <summary>Everybody.</summary>
    public const ulong Broadcast = 0xFFFF_FFFF_FFFF;

    /// <summary>Reads an address as a number, its first byte the highest.</summary>
    public static ulong ReadAddress(ReadOnlySpan<byte> bytes) =>
        ((ulong)BinaryPrimitives.ReadUInt16BigEndian(bytes) << 32) | BinaryPrimitives.ReadUInt32BigEndian(bytes[2..]);

    /// <summary>Writes an address.</summary>
    public static void WriteAddress(Span<byte> bytes, ulong address)
    {
        BinaryPrimitives.WriteUInt16BigEndian(bytes, (ushort)(address >> 32));
        BinaryPrimitives.WriteUInt32BigEndian(bytes[2..], (uint)address);
    }

    /// <summary>Whether many listen to an address.</summary>
    public static bool IsGroup(ulong address) => (address >> 40 & 1) != 0;

    /// <summary>Writes a header.</summary>
    public static void WriteHeader(Span<byte> frame, ulong destination, ulong source, ushort type)
    {
        WriteAddress(frame, destination);
        WriteAddress(frame[6..], source);
        BinaryPrimitives.WriteUInt16BigEndian(frame[12..], type);
    }

    /// <summary>The same address in .NET's form.</summary>
    public static PhysicalAddress ToPhysical(ulong address)
    {
        var bytes = new byte[6];
        WriteAddress(bytes, address);
        return new PhysicalAddress(bytes);
    }
}
