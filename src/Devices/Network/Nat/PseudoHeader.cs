using System.Buffers.Binary;
using Dbt.Devices.Network.Offload;

namespace Dbt.Devices.Network.Nat;

/// <summary>What TCP and UDP sum beside themselves: addresses, protocol, length of header and data.</summary>
internal static class PseudoHeader
{
    /// <summary>Its folded sum, to start <see cref="InternetChecksum.Sum"/> with.</summary>
    public static ushort Sum(IpAddress source, IpAddress destination, byte protocol, int length)
    {
        Span<byte> addresses = stackalloc byte[32];
        int size = source.IsV4 ? 4 : 16;
        source.Write(addresses[..size]);
        destination.Write(addresses.Slice(size, size));
        return InternetChecksum.Sum(addresses[..(2 * size)], (uint)(protocol + length));
    }

    /// <summary>Stores the checksum of data that has a zero in its place.</summary>
    public static void Store(Span<byte> field, ReadOnlySpan<byte> data, ushort pseudoHeader = 0) =>
        BinaryPrimitives.WriteUInt16BigEndian(field, (ushort)~InternetChecksum.Sum(data, pseudoHeader));
}
