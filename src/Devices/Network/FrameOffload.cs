namespace Dbt.Devices.Network;

/// <summary>How a frame that is larger than the link's MTU is to be cut.</summary>
public enum SegmentationKind : byte
{
    /// <summary>The frame goes as it is.</summary>
    None,

    /// <summary>TCP over IPv4.</summary>
    TcpV4,

    /// <summary>TCP over IPv6.</summary>
    TcpV6,
}

/// <summary>What was left undone in a frame because the other side of the cable may do it, or need not.</summary>
/// <param name="ChecksumBlank">
/// The TCP or UDP checksum holds the sum of the pseudo header only (<c>XEN_NETTXF_csum_blank</c>, <c>NETRXF_csum_blank</c>): who sends the
/// frame out of this machine must complete it.
/// </param>
/// <param name="DataValidated">The checksum need not be looked at: the data never left this machine, or was checked already.</param>
/// <param name="Segmentation">Whether, and as what, the frame is still to be cut.</param>
/// <param name="SegmentSize">Payload bytes of each segment (MSS) where <paramref name="Segmentation"/> is set, else 0.</param>
public readonly record struct FrameOffload(
    bool ChecksumBlank = false,
    bool DataValidated = false,
    SegmentationKind Segmentation = SegmentationKind.None,
    ushort SegmentSize = 0);
