using System.Buffers.Binary;

namespace Dbt.Tests.Devices;

/// <summary>A guest's end of one block ring, over plain memory.</summary>
internal sealed class BlockDriverQueue
{
    private readonly FakeFrontend _frontend;
    private readonly bool _wide;
    private uint _responses;

    public BlockDriverQueue(FakeFrontend frontend, bool wide, uint firstReference, int pages, uint port)
    {
        _frontend = frontend;
        _wide = wide;
        Port = port;
        for (uint i = 0; i < pages; i++)
        {
            References.Add(firstReference + i);
            Pages.Add(frontend.Grant(firstReference + i));
        }

        // SHARED_RING_INIT
        Pages[0][4] = 1;
        Pages[0][12] = 1;
        Entries = 1 << int.Log2(((pages * 4096) - 64) / EntrySize);
        frontend.Ports.Add(port);
    }

    public List<uint> References { get; } = [];

    public List<FakePage> Pages { get; } = [];

    public uint Port { get; }

    public int Entries { get; }

    public int EntrySize => _wide ? 112 : 108;

    /// <summary>Responses that came and weren't taken.</summary>
    public int Ready => (int)(Pages[0][8] - _responses);

    /// <summary>Puts a request into the ring without telling the back end.</summary>
    public void Put(byte operation, ulong id, ulong sector, params (uint Reference, byte First, byte Last)[] segments)
    {
        var entry = new byte[EntrySize];
        int pad = _wide ? 4 : 0;
        entry[0] = operation;
        entry[1] = (byte)segments.Length;
        BinaryPrimitives.WriteUInt64LittleEndian(entry.AsSpan(4 + pad), id);
        BinaryPrimitives.WriteUInt64LittleEndian(entry.AsSpan(12 + pad), sector);
        for (int i = 0; i < Math.Min(segments.Length, 11); i++)
        {
            Span<byte> segment = entry.AsSpan(20 + pad + (i * 8));
            BinaryPrimitives.WriteUInt32LittleEndian(segment, segments[i].Reference);
            segment[4] = segments[i].First;
            segment[5] = segments[i].Last;
        }

        PutRaw(entry);
    }

    /// <summary>Puts a discard request into the ring.</summary>
    public void PutDiscard(ulong id, ulong sector, ulong count)
    {
        var entry = new byte[EntrySize];
        int pad = _wide ? 4 : 0;
        entry[0] = 5;
        BinaryPrimitives.WriteUInt64LittleEndian(entry.AsSpan(4 + pad), id);
        BinaryPrimitives.WriteUInt64LittleEndian(entry.AsSpan(12 + pad), sector);
        BinaryPrimitives.WriteUInt64LittleEndian(entry.AsSpan(20 + pad), count);
        PutRaw(entry);
    }

    /// <summary>Puts a request with its segments in pages of their own into the ring.</summary>
    public void PutIndirect(byte operation, ulong id, ulong sector, ushort count, params uint[] pages)
    {
        var entry = new byte[EntrySize];
        int pad = _wide ? 4 : 0;
        entry[0] = 6;
        entry[1] = operation;
        BinaryPrimitives.WriteUInt16LittleEndian(entry.AsSpan(2), count);
        BinaryPrimitives.WriteUInt64LittleEndian(entry.AsSpan(4 + pad), id);
        BinaryPrimitives.WriteUInt64LittleEndian(entry.AsSpan(12 + pad), sector);
        for (int i = 0; i < pages.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(entry.AsSpan(24 + pad + (i * 4)), pages[i]);
        }

        PutRaw(entry);
    }

    public void PutRaw(byte[] entry)
    {
        uint producer = Pages[0][0];
        int offset = 64 + ((int)(producer % (uint)Entries) * EntrySize);
        foreach (byte value in entry)
        {
            Pages[offset / 4096].Bytes[offset % 4096] = value;
            offset++;
        }

        Pages[0][0] = producer + 1;
    }

    /// <summary>Sends the event.</summary>
    public void Kick() => _frontend.Signals[Port]();

    /// <summary>Waits for the next response.</summary>
    public (ulong Id, byte Operation, short Status) Wait()
    {
        Assert.True(SpinWait.SpinUntil(() => Ready > 0, TimeSpan.FromSeconds(30)), "no response");
        var response = new byte[12];
        int offset = 64 + ((int)(_responses % (uint)Entries) * EntrySize);
        for (int i = 0; i < 12; i++, offset++)
        {
            response[i] = Pages[offset / 4096].Bytes[offset % 4096];
        }

        _responses++;
        Pages[0][12] = _responses + 1;
        return (BinaryPrimitives.ReadUInt64LittleEndian(response), response[8], BinaryPrimitives.ReadInt16LittleEndian(response.AsSpan(10)));
    }

    /// <summary>One request from the event to the response's status.</summary>
    public short Do(byte operation, ulong sector, params (uint Reference, byte First, byte Last)[] segments)
    {
        ulong id = 0xABCD_0000_0000 + sector;
        Put(operation, id, sector, segments);
        Kick();
        (ulong Id, byte Operation, short Status) response = Wait();
        Assert.Equal((id, operation), (response.Id, response.Operation));
        return response.Status;
    }
}
