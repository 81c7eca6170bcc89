using System.Buffers.Binary;
using Dbt.Devices.Network;

namespace Dbt.Tests.Devices.Network;

/// <summary>Frames for tests, built field by field; checksums computed the slow and plain way of RFC 1071.</summary>
internal static class TestFrames
{
    public static readonly MacAddress A = Mac("00:16:3e:00:00:0a");
    public static readonly MacAddress B = Mac("00:16:3e:00:00:0b");

    public static MacAddress Mac(string text) => MacAddress.TryParse(text, out MacAddress mac) ? mac : throw new ArgumentException(text);

    /// <summary>A frame that is no IP.</summary>
    public static byte[] Plain(MacAddress to, MacAddress from, int length = 60)
    {
        var frame = new byte[length];
        to.Write(frame);
        from.Write(frame.AsSpan(6));
        frame[12] = 0x88;
        frame[13] = 0xB5;
        for (int i = 14; i < length; i++)
        {
            frame[i] = (byte)(i * 7);
        }

        return frame;
    }

    /// <summary>A TCP or UDP frame with its checksums.</summary>
    public static byte[] Transport(int payload, bool v6 = false, bool tcp = true, bool blank = false, int tags = 0, byte flags = 0x18)
    {
        int network = 14 + (tags * 4), ip = v6 ? 40 : 20, header = tcp ? 32 : 8;
        var frame = new byte[network + ip + header + payload];
        B.Write(frame);
        A.Write(frame.AsSpan(6));
        for (int i = 0; i < tags; i++)
        {
            BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(12 + (i * 4)), 0x8100);
            frame[15 + (i * 4)] = 7;
        }

        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(network - 2), v6 ? (ushort)0x86DD : (ushort)0x0800);
        Span<byte> packet = frame.AsSpan(network);
        if (v6)
        {
            packet[0] = 0x60;
            BinaryPrimitives.WriteUInt16BigEndian(packet[4..], (ushort)(header + payload));
            packet[6] = tcp ? (byte)6 : (byte)17;
            packet[7] = 64;
            for (int i = 8; i < 40; i++)
            {
                packet[i] = (byte)i;
            }
        }
        else
        {
            packet[0] = 0x45;
            BinaryPrimitives.WriteUInt16BigEndian(packet[2..], (ushort)packet.Length);
            BinaryPrimitives.WriteUInt16BigEndian(packet[4..], 0xFFFE);
            packet[8] = 64;
            packet[9] = tcp ? (byte)6 : (byte)17;
            ((ReadOnlySpan<byte>)[10, 0, 0, 1, 10, 0, 0, 2]).CopyTo(packet[12..]);
            BinaryPrimitives.WriteUInt16BigEndian(packet[10..], (ushort)~Sum(packet[..20]));
        }

        Span<byte> transport = packet[ip..];
        BinaryPrimitives.WriteUInt16BigEndian(transport, 4000);
        BinaryPrimitives.WriteUInt16BigEndian(transport[2..], 80);
        if (tcp)
        {
            BinaryPrimitives.WriteUInt32BigEndian(transport[4..], 0xFFFF_FF00);
            transport[12] = 8 << 4;
            transport[13] = flags;
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(transport[4..], (ushort)transport.Length);
        }

        for (int i = header; i < transport.Length; i++)
        {
            transport[i] = (byte)((i * 31) ^ (i >> 8));
        }

        int field = tcp ? 16 : 6;
        uint pseudo = Pseudo(packet, v6, tcp, transport.Length);
        BinaryPrimitives.WriteUInt16BigEndian(transport[field..], Fold(pseudo));
        if (!blank)
        {
            BinaryPrimitives.WriteUInt16BigEndian(transport[field..], 0);
            BinaryPrimitives.WriteUInt16BigEndian(transport[field..], (ushort)~Fold(pseudo + Sum(transport)));
        }

        return frame;
    }

    /// <summary>Whether a TCP or UDP frame without tags has right checksums.</summary>
    public static bool IsRight(ReadOnlySpan<byte> frame)
    {
        bool v6 = frame[12] == 0x86;
        ReadOnlySpan<byte> packet = frame[14..];
        bool tcp = packet[v6 ? 6 : 9] == 6;
        ReadOnlySpan<byte> transport = packet[(v6 ? 40 : 20)..];
        return (v6 || Sum(packet[..20]) == 0xFFFF) && Fold(Pseudo(packet, v6, tcp, transport.Length) + Sum(transport)) == 0xFFFF;
    }

    private static uint Pseudo(ReadOnlySpan<byte> packet, bool v6, bool tcp, int length) =>
        Sum(v6 ? packet.Slice(8, 32) : packet.Slice(12, 8)) + (tcp ? 6u : 17u) + (uint)length;

    private static ushort Sum(ReadOnlySpan<byte> bytes)
    {
        uint sum = 0;
        for (int i = 0; i < bytes.Length; i += 2)
        {
            sum += (uint)(bytes[i] << 8) + (i + 1 < bytes.Length ? bytes[i + 1] : 0u);
            sum = (sum & 0xFFFF) + (sum >> 16);
        }

        return (ushort)sum;
    }

    private static ushort Fold(uint sum)
    {
        while (sum >> 16 != 0)
        {
            sum = (sum & 0xFFFF) + (sum >> 16);
        }

        return (ushort)sum;
    }
}
