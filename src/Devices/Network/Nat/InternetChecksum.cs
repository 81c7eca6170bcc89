using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Dbt.Devices.Network.Nat;

/// <summary>
/// The checksum of IP, TCP, UDP and ICMP (RFC 1071): the one's complement of the one's complement sum of 16-bit words. Sums are kept in
/// the host's byte order, in 64 bits, and folded at the end, which the arithmetic allows.
/// </summary>
internal static class InternetChecksum
{
    /// <summary>Adds bytes to a sum. All but the last piece must have an even length.</summary>
    public static ulong Add(ulong sum, ReadOnlySpan<byte> data)
    {
        ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(data);
        ulong low = 0, high = 0;
        foreach (ulong word in words)
        {
            low += (uint)word;
            high += word >> 32;
        }

        ReadOnlySpan<byte> rest = data[(words.Length * 8)..];
        Span<byte> last = stackalloc byte[8];
        last.Clear();
        rest.CopyTo(last);
        ulong tail = MemoryMarshal.Read<ulong>(last);

        // Halves of at most 2^13 words of 32 bits each: nothing is lost in 64.
        return (ulong)Fold(sum) + Fold(low) + Fold(high) + Fold(tail);
    }

    /// <summary>The sum of the pseudo header: addresses, protocol, length of header and data.</summary>
    public static ulong PseudoHeader(IpAddress source, IpAddress destination, byte protocol, int length)
    {
        Span<byte> bytes = stackalloc byte[40];
        int size = source.IsV4 ? 4 : 16;
        source.Write(bytes[..size]);
        destination.Write(bytes.Slice(size, size));
        BinaryPrimitives.WriteInt32BigEndian(bytes[(2 * size)..], length);
        BinaryPrimitives.WriteInt32BigEndian(bytes[((2 * size) + 4)..], protocol);
        return Add(0, bytes[..((2 * size) + 8)]);
    }

    /// <summary>The checksum itself, to be stored with <see cref="MemoryMarshal"/> in the host's order: <see cref="Store"/>.</summary>
    public static ushort Finish(ulong sum) => (ushort)~Fold(sum);

    /// <summary>Stores 16 bits that came of sums in the host's order.</summary>
    public static void Store(Span<byte> field, ushort value) => MemoryMarshal.Write(field, value);

    /// <summary>The sum in 16 bits, not complemented: what a frame with a blank checksum holds of its pseudo header.</summary>
    public static ushort Fold(ulong sum)
    {
        while (sum >> 16 != 0)
        {
            sum = (sum & 0xFFFF) + (sum >> 16);
        }

        return (ushort)sum;
    }

    /// <summary>Whether data that includes its checksum adds up.</summary>
    public static bool IsValid(ulong sum) => Fold(sum) == 0xFFFF;
}
