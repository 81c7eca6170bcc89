using System.Buffers.Binary;

namespace Dbt.Devices.Store;

/// <summary>Kinds of messages (public/io/xs_wire.h, xsd_sockmsg_type).</summary>
internal enum StoreMessageType : uint
{
    Control = 0,
    Directory = 1,
    Read = 2,
    GetPermissions = 3,
    Watch = 4,
    Unwatch = 5,
    TransactionStart = 6,
    TransactionEnd = 7,
    Introduce = 8,
    Release = 9,
    GetDomainPath = 10,
    Write = 11,
    MakeDirectory = 12,
    Remove = 13,
    SetPermissions = 14,
    WatchEvent = 15,
    Error = 16,
    IsDomainIntroduced = 17,
    Resume = 18,
    SetTarget = 19,
    ResetWatches = 21,
    DirectoryPart = 22,
}

/// <summary>A message's header (struct xsd_sockmsg), 16 bytes, little-endian.</summary>
internal readonly record struct StoreHeader(StoreMessageType Type, uint RequestId, uint TransactionId, uint Length)
{
    /// <summary>Bytes on the wire.</summary>
    public const int Size = 16;

    /// <summary>Reads a header from 16 bytes.</summary>
    public static StoreHeader Read(ReadOnlySpan<byte> bytes) => new(
        (StoreMessageType)BinaryPrimitives.ReadUInt32LittleEndian(bytes),
        BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]),
        BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]),
        BinaryPrimitives.ReadUInt32LittleEndian(bytes[12..]));

    /// <summary>A whole message: this header, its length filled in, and the payload.</summary>
    public byte[] With(ReadOnlySpan<byte> payload)
    {
        var message = new byte[Size + payload.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(message, (uint)Type);
        BinaryPrimitives.WriteUInt32LittleEndian(message.AsSpan(4), RequestId);
        BinaryPrimitives.WriteUInt32LittleEndian(message.AsSpan(8), TransactionId);
        BinaryPrimitives.WriteUInt32LittleEndian(message.AsSpan(12), (uint)payload.Length);
        payload.CopyTo(message.AsSpan(Size));
        return message;
    }
}
