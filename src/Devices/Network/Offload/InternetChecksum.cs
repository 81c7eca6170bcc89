using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Dbt.Devices.Network.Offload;

/// <summary>The sum of IP, TCP and UDP (RFC 1071): 16-bit ones' complement.</summary>
internal static class InternetChecksum
{
    /// <summary>Folded sum of bytes in network order, not inverted; an odd last byte counts as if a zero followed.</summary>
    public static ushort Sum(ReadOnlySpan<byte> bytes, uint start = 0)
    {
        // In the host's order, eight bytes a turn: the sum doesn't care for the order of bytes but for being swapped as a whole.
        ulong sum = 0;
        ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(bytes);
        foreach (ulong word in words)
        {
            sum += (uint)word;
            sum += word >> 32;
        }

        ReadOnlySpan<byte> rest = bytes[(words.Length * 8)..];
        for (int i = 0; i < rest.Length; i++)
        {
            sum += (uint)rest[i] << (8 * (i & 1));
        }

        ushort folded = Fold(sum);
        return Fold((ulong)(BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(folded) : folded) + start);
    }

    /// <summary>Sum of a TCP or UDP pseudo header, folded, for a transport part of so many bytes.</summary>
    public static ushort PseudoHeader(ReadOnlySpan<byte> frame, in FrameHeaders headers, int length)
    {
        ReadOnlySpan<byte> addresses = headers.IsV6 ? frame.Slice(headers.Network + 8, 32) : frame.Slice(headers.Network + 12, 8);
        return Sum(addresses, (headers.IsTcp ? 6u : 17u) + (uint)length);
    }

    /// <summary>Completes a checksum field that holds the sum of the pseudo header.</summary>
    public static void Complete(Span<byte> frame, in FrameHeaders headers)
    {
        var checksum = (ushort)~Sum(frame[headers.Transport..headers.End]);

        // UDP: 0 would mean that there is no checksum.
        BinaryPrimitives.WriteUInt16BigEndian(frame[headers.Checksum..], checksum == 0 && !headers.IsTcp ? ushort.MaxValue : checksum);
    }

    /// <summary>Puts the pseudo header's sum into the checksum field, to be completed by someone else.</summary>
    public static void Blank(Span<byte> frame, in FrameHeaders headers) => BinaryPrimitives.WriteUInt16BigEndian(
        frame[headers.Checksum..], PseudoHeader(frame, headers, headers.End - headers.Transport));

    private static ushort Fold(ulong sum)
    {
        while (sum >> 16 != 0)
        {
            sum = (sum & 0xFFFF) + (sum >> 16);
        }

        return (ushort)sum;
    }
}
