using System.Buffers.Binary;
using Dbt.Devices.Network.Offload;

namespace Dbt.Devices.Network.Switch;

/// <summary>
/// What stands before a frame on its way between the ports of a shared switch: 16 bytes, little-endian. 0: "dbt" and the version, 1;
/// 4: flags, 1 blank checksum, 2 data validated; 5: <see cref="SegmentationKind"/>; 6: segment size; 8: the sender's port.
/// </summary>
internal static class SwitchMessage
{
    /// <summary>Bytes before the frame.</summary>
    public const int HeaderLength = 16;

    /// <summary>Largest frame.</summary>
    public const int MaxFrame = 65_549;

    private const uint Magic = 0x01_74_62_64;
    private const byte BlankFlag = 1, ValidatedFlag = 2;

    /// <summary>Writes the header.</summary>
    public static void Write(Span<byte> header, ulong port, FrameOffload offload)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(header, Magic);
        header[4] = (byte)((offload.ChecksumBlank ? BlankFlag : 0) | (offload.DataValidated ? ValidatedFlag : 0));
        header[5] = (byte)offload.Segmentation;
        BinaryPrimitives.WriteUInt16LittleEndian(header[6..], offload.SegmentSize);
        BinaryPrimitives.WriteUInt64LittleEndian(header[8..], port);
    }

    /// <summary>Reads a header.</summary>
    /// <returns>False where the message is none of ours, or of a version that isn't known.</returns>
    public static bool TryRead(ReadOnlySpan<byte> message, out ulong port, out FrameOffload offload)
    {
        port = 0;
        offload = default;
        if (message.Length < HeaderLength + FrameHeaders.EthernetLength || BinaryPrimitives.ReadUInt32LittleEndian(message) != Magic
            || message[5] > (byte)SegmentationKind.TcpV6)
        {
            return false;
        }

        port = BinaryPrimitives.ReadUInt64LittleEndian(message[8..]);
        var kind = (SegmentationKind)message[5];
        ushort size = BinaryPrimitives.ReadUInt16LittleEndian(message[6..]);
        offload = new FrameOffload((message[4] & BlankFlag) != 0, (message[4] & ValidatedFlag) != 0, kind, size);
        return kind == SegmentationKind.None || size > 0;
    }
}
