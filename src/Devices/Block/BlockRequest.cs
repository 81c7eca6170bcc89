using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Dbt.Devices.Block;

/// <summary>Operations (public/io/blkif.h, BLKIF_OP_*).</summary>
internal enum BlockOperation : byte
{
    Read = 0,
    Write = 1,
    WriteBarrier = 2,
    Flush = 3,
    Discard = 5,
    Indirect = 6,
}

/// <summary>What a response says (BLKIF_RSP_*).</summary>
internal enum BlockStatus : short
{
    Okay = 0,
    Error = -1,
    NotSupported = -2,
}

/// <summary>Which processor's structure layout the frontend uses: they differ in the alignment of 64-bit fields.</summary>
internal enum BlockProtocol
{
    /// <summary>32-bit x86: 64-bit fields are aligned to 4 bytes.</summary>
    X86Bits32,

    /// <summary>64-bit x86.</summary>
    X86Bits64,
}

/// <summary>A part of a request: sectors <see cref="First"/> to <see cref="Last"/>, both included, of a granted page.</summary>
internal readonly record struct BlockSegment(uint Reference, byte First, byte Last)
{
    /// <summary>Bytes on the wire, in both layouts.</summary>
    public const int Size = 8;

    /// <summary>Sectors, where the segment is valid.</summary>
    public int Sectors => Last - First + 1;

    /// <summary>Whether the sectors lie in order within a page.</summary>
    public bool IsValid => First <= Last && Last < 8;

    /// <summary>Reads one from 8 bytes.</summary>
    public static BlockSegment Read(ReadOnlySpan<byte> bytes) => new(BinaryPrimitives.ReadUInt32LittleEndian(bytes), bytes[4], bytes[5]);
}

/// <summary>A request as copied from the ring (struct blkif_request and its discard and indirect forms); nothing in it is checked.</summary>
internal struct BlockRequest
{
    /// <summary>Segments of a direct request (BLKIF_MAX_SEGMENTS_PER_REQUEST), and pages of an indirect one.</summary>
    public const int MaxSegments = 11, MaxIndirectPages = 8;

    private References _indirectPages;
    private Segments _segments;

    /// <summary>The operation; of an indirect request the one that it stands for.</summary>
    public BlockOperation Operation;

    /// <summary>
    /// The operation's number as sent, for the response; of an indirect request the one that it stands for, which is what
    /// frontends expect (Linux stops at a response of any other kind).
    /// </summary>
    public byte RawOperation;

    /// <summary>Whether the segments lie in pages of their own.</summary>
    public bool IsIndirect;

    /// <summary>Number of segments.</summary>
    public int SegmentCount;

    /// <summary>The guest's own number for the request.</summary>
    public ulong Id;

    /// <summary>First sector on the disk, of 512 bytes.</summary>
    public ulong Sector;

    /// <summary>Sectors to discard.</summary>
    public ulong DiscardSectors;

    /// <summary>Segments of a direct request.</summary>
    [UnscopedRef]
    public ReadOnlySpan<BlockSegment> DirectSegments => _segments;

    /// <summary>Grant references of the pages that hold an indirect request's segments.</summary>
    [UnscopedRef]
    public ReadOnlySpan<uint> IndirectPages => _indirectPages;

    /// <summary>Bytes of a ring entry.</summary>
    public static int EntrySize(BlockProtocol protocol) => protocol == BlockProtocol.X86Bits64 ? 112 : 108;

    /// <summary>Reads a ring entry of <see cref="EntrySize"/> bytes.</summary>
    public static BlockRequest Read(ReadOnlySpan<byte> entry, BlockProtocol protocol)
    {
        int pad = protocol == BlockProtocol.X86Bits64 ? 4 : 0;
        var request = new BlockRequest
        {
            RawOperation = entry[0],
            Operation = (BlockOperation)entry[0],
            SegmentCount = entry[1],
            Id = BinaryPrimitives.ReadUInt64LittleEndian(entry[(4 + pad)..]),
            Sector = BinaryPrimitives.ReadUInt64LittleEndian(entry[(12 + pad)..]),
        };
        switch (request.Operation)
        {
            case BlockOperation.Discard:
                request.SegmentCount = 0;
                request.DiscardSectors = BinaryPrimitives.ReadUInt64LittleEndian(entry[(20 + pad)..]);
                break;
            case BlockOperation.Indirect:
                request.IsIndirect = true;
                request.Operation = (BlockOperation)entry[1];
                request.RawOperation = entry[1];
                request.SegmentCount = BinaryPrimitives.ReadUInt16LittleEndian(entry[2..]);
                for (int i = 0; i < MaxIndirectPages; i++)
                {
                    request._indirectPages[i] = BinaryPrimitives.ReadUInt32LittleEndian(entry[(24 + pad + (i * 4))..]);
                }

                break;
            default:
                for (int i = 0; i < MaxSegments; i++)
                {
                    request._segments[i] = BlockSegment.Read(entry[(20 + pad + (i * BlockSegment.Size))..]);
                }

                break;
        }

        return request;
    }

    [InlineArray(MaxSegments)]
    private struct Segments
    {
        private BlockSegment _first;
    }

    [InlineArray(MaxIndirectPages)]
    private struct References
    {
        private uint _first;
    }
}
