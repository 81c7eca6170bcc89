using System.Buffers.Binary;
using System.Globalization;
using Dbt.Devices;
using Dbt.Devices.Block;
using Dbt.Devices.Store;

namespace Dbt.Tests.Devices;

/// <summary>A guest's block driver against a back end over plain memory: negotiates through its xenstore session, fills the ring.</summary>
internal sealed class BlockDriver : IDisposable
{
    public const string Front = "device/vbd/51712";
    public const string Back = "/local/domain/0/backend/vbd/1/51712";
    private readonly BlockBackend _backend;
    private readonly bool _wide;
    private uint _responses;
    private uint _nextReference = 100;

    public BlockDriver(FakeDisk disk, bool wide = false, DiskType type = DiskType.Disk)
    {
        Disk = disk;
        _wide = wide;
        Store.Mkdir("/local/domain/1");
        Store.SetPermissions("/local/domain/1", new StorePermission(0, StoreAccess.None), new StorePermission(1, StoreAccess.Read));
        Guest = new StoreClient(Store.Introduce(1));
        var configuration = new DiskConfiguration("disk.img", VirtualDevice.Parse("xvda"), disk.IsReadOnly, type);
        _backend = new BlockBackend(Store, Frontend, configuration, disk);
    }

    public FakeDisk Disk { get; }

    public XenStore Store { get; } = new();

    public FakeFrontend Frontend { get; } = new();

    public StoreClient Guest { get; }

    public List<FakePage> Ring { get; } = [];

    public uint Port { get; private set; }

    public string BackState => Guest.Read(Back + "/state");

    public int EntrySize => _wide ? 112 : 108;

    public int Entries { get; private set; }

    /// <summary>Makes a ring and an event channel, names them to the back end, and goes to a state.</summary>
    public void Connect(int pages = 1, string state = "3")
    {
        Ring.Clear();
        for (int i = 0; i < pages; i++)
        {
            uint reference = _nextReference++;
            Ring.Add(Frontend.Grant(reference));
            Guest.Write(pages == 1 ? Front + "/ring-ref" : $"{Front}/ring-ref{i}", Text(reference));
        }

        if (pages > 1)
        {
            Guest.Write(Front + "/ring-page-order", Text((uint)int.Log2(pages)));
        }

        // SHARED_RING_INIT
        Ring[0][4] = 1;
        Ring[0][12] = 1;
        _responses = 0;
        Entries = 1 << int.Log2(((pages * 4096) - 64) / EntrySize);
        Port = _nextReference++;
        Frontend.Ports.Add(Port);
        Guest.Write(Front + "/event-channel", Text(Port));
        Guest.Write(Front + "/protocol", _wide ? "x86_64-abi" : "x86_32-abi");
        Guest.Write(Front + "/state", state);
    }

    /// <summary>Grants a buffer.</summary>
    public (uint Reference, FakePage Page) Buffer()
    {
        uint reference = _nextReference++;
        return (reference, Frontend.Grant(reference));
    }

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
        uint producer = Ring[0][0];
        int offset = 64 + ((int)(producer % (uint)Entries) * EntrySize);
        foreach (byte value in entry)
        {
            Ring[offset / 4096].Bytes[offset % 4096] = value;
            offset++;
        }

        Ring[0][0] = producer + 1;
    }

    /// <summary>Sends the event.</summary>
    public void Kick() => Frontend.Signals[Port]();

    /// <summary>Waits for the next response.</summary>
    public (ulong Id, byte Operation, short Status) Wait()
    {
        Assert.True(SpinWait.SpinUntil(() => Ring[0][8] != _responses, TimeSpan.FromSeconds(30)), "no response");
        var response = new byte[12];
        int offset = 64 + ((int)(_responses % (uint)Entries) * EntrySize);
        for (int i = 0; i < 12; i++, offset++)
        {
            response[i] = Ring[offset / 4096].Bytes[offset % 4096];
        }

        _responses++;
        Ring[0][12] = _responses + 1;
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

    public void Dispose()
    {
        _backend.Dispose();
        Assert.Equal(0, Frontend.Mapped);
        Assert.Empty(Frontend.Signals);
    }

    private static string Text(uint value) => value.ToString(CultureInfo.InvariantCulture);
}
