using System.Buffers.Binary;

namespace Dbt.Devices.Network.Frontend;

/// <summary>Kinds of extra info (<c>XEN_NETIF_EXTRA_TYPE_*</c>).</summary>
internal enum ExtraKind : byte
{
    Segmentation = 1,
    MulticastAdd = 2,
    MulticastRemove = 3,
    Hash = 4,
}

/// <summary>A slot with more about a frame (<c>struct netif_extra_info</c>): eight bytes in either ring.</summary>
internal readonly record struct ExtraInfo(ExtraKind Kind, bool HasMore, ulong Raw)
{
    /// <summary>Bytes of the structure.</summary>
    public const int Length = 8;

    private const byte MoreFlag = 1;

    /// <summary>Whether the kind is one that the public header knows.</summary>
    public bool IsKnown => Kind is >= ExtraKind.Segmentation and <= ExtraKind.Hash;

    /// <summary>Of a segmentation: the payload bytes of each segment.</summary>
    public ushort SegmentSize => (ushort)(Raw >> 16);

    /// <summary>Of a segmentation: what is cut (<c>XEN_NETIF_GSO_TYPE_*</c>); null for a number that means nothing.</summary>
    public SegmentationKind? Segmentation => (byte)(Raw >> 32) switch
    {
        0 => SegmentationKind.None,
        1 => SegmentationKind.TcpV4,
        2 => SegmentationKind.TcpV6,
        _ => null,
    };

    /// <summary>Of a change of the multicast filter: the address.</summary>
    public MacAddress Address
    {
        get
        {
            Span<byte> bytes = stackalloc byte[Length];
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, Raw);
            return MacAddress.Read(bytes[2..]);
        }
    }

    /// <summary>Reads a slot.</summary>
    public static ExtraInfo Read(ReadOnlySpan<byte> slot) =>
        new((ExtraKind)slot[0], (slot[1] & MoreFlag) != 0, BinaryPrimitives.ReadUInt64LittleEndian(slot));

    /// <summary>Writes a segmentation.</summary>
    public static void WriteSegmentation(Span<byte> slot, FrameOffload offload, bool hasMore)
    {
        slot[..Length].Clear();
        slot[0] = (byte)ExtraKind.Segmentation;
        slot[1] = hasMore ? MoreFlag : (byte)0;
        BinaryPrimitives.WriteUInt16LittleEndian(slot[2..], offload.SegmentSize);
        slot[4] = (byte)(offload.Segmentation == SegmentationKind.TcpV4 ? 1 : 2);
    }

    /// <summary>Writes a flow's hash, calculated by Toeplitz's algorithm over what <paramref name="type"/> says.</summary>
    public static void WriteHash(Span<byte> slot, HashType type, uint value)
    {
        slot[..Length].Clear();
        slot[0] = (byte)ExtraKind.Hash;
        slot[2] = (byte)type;
        slot[3] = (byte)HashAlgorithm.Toeplitz;
        BinaryPrimitives.WriteUInt32LittleEndian(slot[4..], value);
    }
}
