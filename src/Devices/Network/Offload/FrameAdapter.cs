using System.Buffers.Binary;

namespace Dbt.Devices.Network.Offload;

/// <summary>
/// Hands frames to an end, doing before what that end doesn't take undone: a large TCP frame is cut into segments, a blank checksum
/// completed. Not thread-safe: one for each sender that sends a frame at a time.
/// </summary>
internal sealed class FrameAdapter
{
    private byte[] _scratch = [];

    /// <summary>
    /// Sends a frame. Where it has to be cut, <paramref name="sent"/> counts the payload bytes that the end has taken; start at 0, and give
    /// it again with the same frame after a refusal.
    /// </summary>
    /// <returns>False where the end refused (a part of) the frame. One that can't be adapted counts as sent: nobody would take it.</returns>
    public bool Send(INetworkEnd end, ReadOnlySpan<byte> frame, FrameOffload offload, ref int sent)
    {
        LinkFeatures features = end.Features;
        bool cut = offload.Segmentation switch
        {
            SegmentationKind.TcpV4 => !features.SegmentV4,
            SegmentationKind.TcpV6 => !features.SegmentV6,
            _ => false,
        };
        bool complete = offload.ChecksumBlank && !features.ChecksumBlank;
        if (!cut && !complete)
        {
            return end.Send(frame, offload);
        }

        if (!FrameHeaders.TryParse(frame, out FrameHeaders headers))
        {
            return true;
        }

        if (cut)
        {
            return !headers.IsTcp || offload.SegmentSize == 0 || SendSegments(end, frame, headers, offload, complete, ref sent);
        }

        Span<byte> copy = Scratch(frame.Length);
        frame.CopyTo(copy);
        InternetChecksum.Complete(copy, headers);
        return end.Send(copy, offload with { ChecksumBlank = false, DataValidated = true });
    }

    private bool SendSegments(
        INetworkEnd end, ReadOnlySpan<byte> frame, in FrameHeaders headers, FrameOffload offload, bool complete, ref int sent)
    {
        ReadOnlySpan<byte> payload = frame[headers.Payload..headers.End];
        var each = new FrameOffload(ChecksumBlank: !complete, DataValidated: true);
        do
        {
            int length = Math.Min(offload.SegmentSize, payload.Length - sent);
            Span<byte> segment = Scratch(headers.Payload + length);
            frame[..headers.Payload].CopyTo(segment);
            payload.Slice(sent, length).CopyTo(segment[headers.Payload..]);
            Patch(segment, headers, sent, offload.SegmentSize, isLast: sent + length == payload.Length, complete);
            if (!end.Send(segment, each))
            {
                return false;
            }

            sent += length;
        }
        while (sent < payload.Length);
        return true;
    }

    // What differs between the segments of one frame: lengths, the IPv4 identification, the sequence number, flags, checksums.
    private static void Patch(Span<byte> segment, in FrameHeaders headers, int sent, int segmentSize, bool isLast, bool complete)
    {
        const byte fin = 1, push = 8, congestionWindowReduced = 0x80;
        Span<byte> ip = segment[headers.Network..];
        if (headers.IsV6)
        {
            BinaryPrimitives.WriteUInt16BigEndian(ip[4..], (ushort)(ip.Length - 40));
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(ip[2..], (ushort)ip.Length);
            ushort identification = BinaryPrimitives.ReadUInt16BigEndian(ip[4..]);
            BinaryPrimitives.WriteUInt16BigEndian(ip[4..], (ushort)(identification + (sent / segmentSize)));
            BinaryPrimitives.WriteUInt16BigEndian(ip[10..], 0);
            int header = headers.Transport - headers.Network;
            BinaryPrimitives.WriteUInt16BigEndian(ip[10..], (ushort)~InternetChecksum.Sum(ip[..header]));
        }

        Span<byte> tcp = segment[headers.Transport..];
        BinaryPrimitives.WriteUInt32BigEndian(tcp[4..], BinaryPrimitives.ReadUInt32BigEndian(tcp[4..]) + (uint)sent);
        int drop = (isLast ? 0 : fin | push) | (sent == 0 ? 0 : congestionWindowReduced);
        tcp[13] = (byte)(tcp[13] & ~drop);
        FrameHeaders own = headers with { End = segment.Length };
        InternetChecksum.Blank(segment, own);
        if (complete)
        {
            InternetChecksum.Complete(segment, own);
        }
    }

    private Span<byte> Scratch(int length)
    {
        if (_scratch.Length < length)
        {
            _scratch = new byte[(int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)length)];
        }

        return _scratch.AsSpan(0, length);
    }
}
