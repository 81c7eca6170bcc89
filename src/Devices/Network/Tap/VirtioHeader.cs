using System.Buffers.Binary;
using Dbt.Devices.Network.Offload;

namespace Dbt.Devices.Network.Tap;

/// <summary>The header that a TAP device with IFF_VNET_HDR has before each frame (<c>struct virtio_net_hdr</c>, little-endian).</summary>
internal static class VirtioHeader
{
    /// <summary>Bytes of the header.</summary>
    public const int Length = 10;

    private const byte NeedsChecksum = 1, DataValid = 2;
    private const byte GsoNone = 0, GsoTcpV4 = 1, GsoTcpV6 = 4, GsoEcn = 0x80;

    /// <summary>Writes the header of a frame to be sent.</summary>
    /// <returns>False where the frame isn't what <paramref name="offload"/> says; it is to be dropped.</returns>
    public static bool TryWrite(Span<byte> header, ReadOnlySpan<byte> frame, FrameOffload offload)
    {
        header[..Length].Clear();
        if (!offload.ChecksumBlank)
        {
            header[0] = offload.DataValidated ? DataValid : (byte)0;
            return offload.Segmentation == SegmentationKind.None;
        }

        if (!FrameHeaders.TryParse(frame, out FrameHeaders headers))
        {
            return false;
        }

        header[0] = NeedsChecksum;
        BinaryPrimitives.WriteUInt16LittleEndian(header[6..], (ushort)headers.Transport);
        BinaryPrimitives.WriteUInt16LittleEndian(header[8..], (ushort)(headers.Checksum - headers.Transport));
        if (offload.Segmentation != SegmentationKind.None)
        {
            header[1] = offload.Segmentation == SegmentationKind.TcpV4 ? GsoTcpV4 : GsoTcpV6;
            BinaryPrimitives.WriteUInt16LittleEndian(header[2..], (ushort)headers.Payload);
            BinaryPrimitives.WriteUInt16LittleEndian(header[4..], offload.SegmentSize);
        }

        return true;
    }

    /// <summary>Reads the header of a frame that came.</summary>
    /// <returns>False where the kernel left something undone that nobody asked it to.</returns>
    public static bool TryRead(ReadOnlySpan<byte> header, out FrameOffload offload)
    {
        bool blank = (header[0] & NeedsChecksum) != 0;
        SegmentationKind kind = (header[1] & ~GsoEcn) switch
        {
            GsoTcpV4 => SegmentationKind.TcpV4,
            GsoTcpV6 => SegmentationKind.TcpV6,
            _ => SegmentationKind.None,
        };
        ushort size = kind == SegmentationKind.None ? (ushort)0 : BinaryPrimitives.ReadUInt16LittleEndian(header[4..]);
        offload = new FrameOffload(blank, blank || (header[0] & DataValid) != 0, kind, size);
        return kind != SegmentationKind.None ? size > 0 && blank : header[1] == GsoNone;
    }
}
