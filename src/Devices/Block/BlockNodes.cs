using System.Globalization;
using Dbt.Devices.Store;

namespace Dbt.Devices.Block;

/// <summary>A disk's nodes in xenstore (public/io/blkif.h), of both ends.</summary>
internal sealed class BlockNodes
{
    private readonly XenStore _store;
    private readonly BlockDisk _disk;
    private readonly DiskConfiguration _configuration;

    /// <summary>Names the nodes; writes none yet.</summary>
    public BlockNodes(XenStore store, BlockDisk disk, DiskConfiguration configuration)
    {
        _store = store;
        _disk = disk;
        _configuration = configuration;
        string domain = Text(disk.Frontend.DomainId);
        Front = $"/local/domain/{domain}/device/vbd/{Text(configuration.Device.Number)}";
        Back = $"/local/domain/0/backend/vbd/{domain}/{Text(configuration.Device.Number)}";
    }

    /// <summary>The frontend's folder.</summary>
    public string Front { get; }

    /// <summary>The back end's folder.</summary>
    public string Back { get; }

    /// <summary>What the frontend says of its state.</summary>
    public XenbusState FrontState => BlockConnection.ReadState(_store, Front);

    /// <summary>Writes one of the back end's nodes.</summary>
    public void Write(string node, string value) => _store.Write($"{Back}/{node}", value);

    /// <summary>Tells the frontend why it isn't served, where xenbus drivers put it.</summary>
    public void WriteError(string why) => _store.Write($"/local/domain/0/error{Back["/local/domain/0".Length..]}/error", why);

    /// <summary>Writes the disk's size.</summary>
    public void WriteSize() => Write("sectors", _disk.Sectors.ToString(CultureInfo.InvariantCulture));

    /// <summary>Writes both ends' nodes, the frontend's state last: a guest that runs takes that for a new disk.</summary>
    public void Publish()
    {
        var domain = (ushort)_disk.Frontend.DomainId;
        _store.Mkdir(Back);
        _store.SetPermissions(Back, new StorePermission(0, StoreAccess.None), new StorePermission(domain, StoreAccess.Read));
        WriteIdentification();
        WriteFeatures();
        WriteProperties();
        Write("state", Text((uint)XenbusState.InitWait));

        _store.Mkdir(Front);
        _store.SetPermissions(Front, new StorePermission(domain, StoreAccess.None), new StorePermission(0, StoreAccess.Read));
        _store.Write(Front + "/backend", Back);
        _store.Write(Front + "/backend-id", "0");
        _store.Write(Front + "/virtual-device", Text(_configuration.Device.Number));
        _store.Write(Front + "/device-type", IsCdrom ? "cdrom" : "disk");
        _store.Write(Front + "/state", Text((uint)XenbusState.Initialising));
    }

    /// <summary>Removes both ends' nodes.</summary>
    public void Remove()
    {
        _store.Remove(Back);
        _store.Remove(Front);
    }

    private bool IsCdrom => _configuration.Type == DiskType.Cdrom;

    private static string Text(uint value) => value.ToString(CultureInfo.InvariantCulture);

    private void WriteIdentification()
    {
        Write("frontend", Front);
        Write("frontend-id", Text(_disk.Frontend.DomainId));
        Write("params", Path.GetFullPath(_configuration.Path));
        Write("online", "1");
        Write("removable", IsCdrom ? "1" : "0");
        Write("bootable", "1");
        Write("dev", _configuration.Device.Name);
        Write("type", "file");
        Write("mode", _disk.Image.IsReadOnly ? "r" : "w");
        Write("device-type", IsCdrom ? "cdrom" : "disk");
    }

    private void WriteFeatures()
    {
        Write("feature-flush-cache", "1");
        Write("feature-barrier", "1");
        Write("feature-persistent", _configuration.PersistentGrants ? "1" : "0");
        Write("feature-max-indirect-segments", Text(BlockJob.MaxSegments));
        Write("max-ring-page-order", Text(BlockConnection.MaxRingPageOrder));
        Write("max-ring-pages", Text(1 << BlockConnection.MaxRingPageOrder));
        Write("multi-queue-max-queues", Text(BlockConnection.MaxQueues));
        if (!_configuration.Discard)
        {
            Write("discard-enable", "0");
        }
        else if (_disk.DiscardGranularity > 0)
        {
            Write("discard-enable", "1");
            Write("feature-discard", "1");
            Write("discard-granularity", Text((uint)_disk.DiscardGranularity));
            Write("discard-alignment", "0");
        }
    }

    private void WriteProperties()
    {
        WriteSize();
        Write("sector-size", Text((uint)_disk.SectorSize));
        Write("physical-sector-size", Text((uint)Math.Max(_disk.SectorSize, _disk.Image.SectorSizes.Physical)));
        Write("info", Text((IsCdrom ? 3u : 0) | (_disk.Image.IsReadOnly ? 4u : 0))); // VDISK_CDROM, VDISK_REMOVABLE, VDISK_READONLY
    }
}
