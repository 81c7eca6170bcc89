namespace Dbt.Devices.Network.Frontend;

/// <summary>What a frontend said that it takes, as it was when it connected.</summary>
/// <param name="ScatterGather"><c>feature-sg</c>: frames over several pages.</param>
/// <param name="SegmentV4"><c>feature-gso-tcpv4</c>.</param>
/// <param name="SegmentV6"><c>feature-gso-tcpv6</c>.</param>
/// <param name="ChecksumV4">No <c>feature-no-csum-offload</c>.</param>
/// <param name="ChecksumV6"><c>feature-ipv6-csum-offload</c>.</param>
/// <param name="ReceiveNotify"><c>feature-rx-notify</c>: it sends an event when it posts pages and was asked to.</param>
internal readonly record struct VifFeatures(
    bool ScatterGather, bool SegmentV4, bool SegmentV6, bool ChecksumV4, bool ChecksumV6, bool ReceiveNotify)
{
    /// <summary>What a sender may leave undone. A guest that takes a blank checksum of IPv4 only takes none: who sends needn't look.</summary>
    public LinkFeatures Link => new(ChecksumV4 && ChecksumV6, ScatterGather && SegmentV4, ScatterGather && SegmentV6);
}
