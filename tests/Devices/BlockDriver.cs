using System.Globalization;
using Dbt.Devices;
using Dbt.Devices.Block;
using Dbt.Devices.Store;

namespace Dbt.Tests.Devices;

/// <summary>A guest's block driver against a back end over plain memory: negotiates through its xenstore session, fills the rings.</summary>
internal sealed class BlockDriver : IDisposable
{
    public const string Front = "device/vbd/51712";
    public const string Back = "/local/domain/0/backend/vbd/1/51712";
    private readonly bool _wide;
    private uint _nextReference = 100;

    public BlockDriver(FakeDisk disk, bool wide = false, DiskType type = DiskType.Disk, Func<DiskConfiguration, DiskConfiguration>? configure = null)
    {
        Disk = disk;
        _wide = wide;
        Store.Mkdir("/local/domain/1");
        Store.SetPermissions("/local/domain/1", new StorePermission(0, StoreAccess.None), new StorePermission(1, StoreAccess.Read));
        Guest = new StoreClient(Store.Introduce(1));
        var configuration = new DiskConfiguration("disk.img", VirtualDevice.Parse("xvda"), disk.IsReadOnly, type);
        Backend = new BlockBackend(Store, Frontend, configure?.Invoke(configuration) ?? configuration, disk);
    }

    public BlockBackend Backend { get; }

    public FakeDisk Disk { get; }

    public XenStore Store { get; } = new();

    public FakeFrontend Frontend { get; } = new();

    public StoreClient Guest { get; }

    public List<BlockDriverQueue> Queues { get; } = [];

    public List<FakePage> Ring => Queues[0].Pages;

    public uint Port => Queues[0].Port;

    public string BackState => Guest.Read(Back + "/state");

    public int EntrySize => _wide ? 112 : 108;

    public int Entries => Queues[0].Entries;

    /// <summary>Makes rings and event channels, names them to the back end, and goes to a state.</summary>
    public void Connect(int pages = 1, string state = "3", int queues = 1)
    {
        Queues.Clear();
        for (int q = 0; q < queues; q++)
        {
            string folder = queues == 1 ? Front : $"{Front}/queue-{q}";
            var queue = new BlockDriverQueue(Frontend, _wide, _nextReference, pages, _nextReference + (uint)pages);
            _nextReference += (uint)pages + 1;
            Queues.Add(queue);
            for (int i = 0; i < pages; i++)
            {
                Guest.Write(pages == 1 ? folder + "/ring-ref" : $"{folder}/ring-ref{i}", Text(queue.References[i]));
            }

            Guest.Write(folder + "/event-channel", Text(queue.Port));
        }

        if (pages > 1)
        {
            Guest.Write(Front + "/ring-page-order", Text((uint)int.Log2(pages)));
        }

        if (queues > 1)
        {
            Guest.Write(Front + "/multi-queue-num-queues", Text((uint)queues));
        }

        Guest.Write(Front + "/protocol", _wide ? "x86_64-abi" : "x86_32-abi");
        Guest.Write(Front + "/state", state);
    }

    /// <summary>Grants a buffer.</summary>
    public (uint Reference, FakePage Page) Buffer()
    {
        uint reference = _nextReference++;
        return (reference, Frontend.Grant(reference));
    }

    /// <summary>Waits until the back end is in a state.</summary>
    public void WaitForState(string state) =>
        Assert.True(SpinWait.SpinUntil(() => Store.Read(Back + "/state") == state, TimeSpan.FromSeconds(30)), $"state {Store.Read(Back + "/state")}, not {state}");

    public void Put(byte operation, ulong id, ulong sector, params (uint Reference, byte First, byte Last)[] segments) =>
        Queues[0].Put(operation, id, sector, segments);

    public void PutDiscard(ulong id, ulong sector, ulong count) => Queues[0].PutDiscard(id, sector, count);

    public void PutIndirect(byte operation, ulong id, ulong sector, ushort count, params uint[] pages) =>
        Queues[0].PutIndirect(operation, id, sector, count, pages);

    public void PutRaw(byte[] entry) => Queues[0].PutRaw(entry);

    public void Kick() => Queues[0].Kick();

    public (ulong Id, byte Operation, short Status) Wait() => Queues[0].Wait();

    public short Do(byte operation, ulong sector, params (uint Reference, byte First, byte Last)[] segments) =>
        Queues[0].Do(operation, sector, segments);

    public void Dispose()
    {
        Disk.Go.Set();
        Backend.Dispose();
        Assert.Equal(0, Frontend.Mapped);
        Assert.Empty(Frontend.Signals);
    }

    private static string Text(uint value) => value.ToString(CultureInfo.InvariantCulture);
}
