using System.Buffers.Binary;

namespace Dbt.Devices.Network.Nat;

/// <summary>Flags of a TCP header.</summary>
[Flags]
internal enum TcpFlags : byte
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>The sender sends no more.</summary>
    Fin = 1,

    /// <summary>A connection begins.</summary>
    Syn = 2,

    /// <summary>It is no more, or never was.</summary>
    Rst = 4,

    /// <summary>Somebody should look at the data.</summary>
    Psh = 8,

    /// <summary>The acknowledgement counts.</summary>
    Ack = 16,
}

/// <summary>A TCP segment (RFC 9293), looked at in place.</summary>
internal readonly ref struct TcpSegment
{
    /// <summary>Bytes of a header without options.</summary>
    public const int HeaderSize = 20;

    /// <summary>Ports.</summary>
    public ushort SourcePort { get; private init; }

    /// <inheritdoc cref="SourcePort"/>
    public ushort DestinationPort { get; private init; }

    /// <summary>Number of the first byte.</summary>
    public uint Sequence { get; private init; }

    /// <summary>Number of the byte that is expected.</summary>
    public uint Acknowledgement { get; private init; }

    /// <summary>What it is.</summary>
    public TcpFlags Flags { get; private init; }

    /// <summary>Room that the sender has, not scaled.</summary>
    public ushort Window { get; private init; }

    /// <summary>Options, raw.</summary>
    public ReadOnlySpan<byte> Options { get; private init; }

    /// <summary>The data.</summary>
    public ReadOnlySpan<byte> Payload { get; private init; }

    /// <summary>Sequence numbers that it takes: data, SYN and FIN.</summary>
    public uint Length => (uint)Payload.Length + (Has(TcpFlags.Syn) ? 1u : 0) + (Has(TcpFlags.Fin) ? 1u : 0);

    /// <summary>Whether a flag is set.</summary>
    public bool Has(TcpFlags flag) => (Flags & flag) != 0;

    /// <summary>Reads one.</summary>
    public static bool TryParse(ReadOnlySpan<byte> data, out TcpSegment segment)
    {
        segment = default;
        int headerSize = data.Length < HeaderSize ? 0 : (data[12] >> 4) * 4;
        if (headerSize < HeaderSize || headerSize > data.Length)
        {
            return false;
        }

        segment = new TcpSegment
        {
            SourcePort = BinaryPrimitives.ReadUInt16BigEndian(data),
            DestinationPort = BinaryPrimitives.ReadUInt16BigEndian(data[2..]),
            Sequence = BinaryPrimitives.ReadUInt32BigEndian(data[4..]),
            Acknowledgement = BinaryPrimitives.ReadUInt32BigEndian(data[8..]),
            Flags = (TcpFlags)(data[13] & 31),
            Window = BinaryPrimitives.ReadUInt16BigEndian(data[14..]),
            Options = data[HeaderSize..headerSize],
            Payload = data[headerSize..],
        };
        return true;
    }

    /// <summary>The options of a SYN that are known here: maximum segment size and window scale; negative where not given.</summary>
    public (int SegmentSize, int WindowScale) ReadSynOptions()
    {
        int segmentSize = -1, scale = -1;
        ReadOnlySpan<byte> rest = Options;
        while (rest.Length > 0 && rest[0] != 0)
        {
            int size = rest[0] == 1 ? 1 : rest.Length < 2 ? 0 : rest[1];
            if (size == 0 || size > rest.Length || (rest[0] != 1 && size < 2))
            {
                break;
            }

            if (rest[0] == 2 && size == 4)
            {
                segmentSize = BinaryPrimitives.ReadUInt16BigEndian(rest[2..]);
            }
            else if (rest[0] == 3 && size == 3)
            {
                scale = Math.Min(rest[2], (byte)14);
            }

            rest = rest[size..];
        }

        return (segmentSize, scale);
    }
}

/// <summary>Sequence numbers wrap: what is meant is which is ahead.</summary>
internal static class Sequence
{
    /// <summary>a is before b.</summary>
    public static bool Before(uint a, uint b) => (int)(a - b) < 0;

    /// <summary>a is b or behind it.</summary>
    public static bool AtOrAfter(uint a, uint b) => (int)(a - b) >= 0;
}
