using System.Buffers.Binary;

namespace Dbt.Devices.Network.Frontend;

/// <summary>Outcome of a transmit request (<c>NETIF_RSP_*</c>).</summary>
internal enum VifStatus : short
{
    Dropped = -2,
    Error = -1,
    Okay = 0,

    /// <summary>What a slot of extra info gets.</summary>
    Null = 1,
}

/// <summary>A slot of the transmit ring (<c>struct netif_tx_request</c>), copied out of it.</summary>
/// <param name="Reference">Grant reference of the page.</param>
/// <param name="Offset">Of the piece in the page.</param>
/// <param name="Flags"><c>NETTXF_*</c>.</param>
/// <param name="Id">Echoed in the response.</param>
/// <param name="Size">Of the piece; in a frame's first slot that of the whole frame.</param>
internal readonly record struct TransmitRequest(uint Reference, ushort Offset, ushort Flags, ushort Id, ushort Size)
{
    /// <summary>Bytes of a slot.</summary>
    public const int SlotSize = 12;

    private const ushort BlankFlag = 1, ValidatedFlag = 2, MoreFlag = 4, ExtraFlag = 8;

    /// <summary>Whether the TCP or UDP checksum holds the pseudo header's sum only.</summary>
    public bool IsChecksumBlank => (Flags & BlankFlag) != 0;

    /// <summary>Whether the checksum is known to be right.</summary>
    public bool IsDataValidated => (Flags & ValidatedFlag) != 0;

    /// <summary>Whether another slot of the same frame follows.</summary>
    public bool HasMoreData => (Flags & MoreFlag) != 0;

    /// <summary>Whether the slots behind hold extra info.</summary>
    public bool HasExtra => (Flags & ExtraFlag) != 0;

    /// <summary>Reads a slot.</summary>
    public static TransmitRequest Read(ReadOnlySpan<byte> slot) => new(
        BinaryPrimitives.ReadUInt32LittleEndian(slot),
        BinaryPrimitives.ReadUInt16LittleEndian(slot[4..]),
        BinaryPrimitives.ReadUInt16LittleEndian(slot[6..]),
        BinaryPrimitives.ReadUInt16LittleEndian(slot[8..]),
        BinaryPrimitives.ReadUInt16LittleEndian(slot[10..]));
}
