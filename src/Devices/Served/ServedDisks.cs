using System.Globalization;
using Dbt.Devices.Block;
using Dbt.Devices.Store;
using Dbt.Runtime;
using Dbt.Xen;

namespace Dbt.Devices.Served;

/// <summary>A domain's disks that other domains serve (<see cref="DiskConfiguration.Backend"/>), attached and detached while it runs. Thread-safe.</summary>
internal sealed class ServedDisks(XenStore store, Domain domain) : IDisposable
{
    private readonly DeviceSet<ServedDisk> _disks = new();

    /// <summary>The disks as they are now, in the order in which they were attached.</summary>
    public IReadOnlyList<DiskStatus> Statuses => _disks.ConvertAll(static disk => disk.Status);

    /// <summary>Whether one of them has a name or number.</summary>
    public bool Has(string name) => Find(name) is not null;

    /// <summary>Writes a disk's nodes, for the domain that serves it and for the guest.</summary>
    /// <exception cref="HostException">There is no such domain, or there is a disk of that number.</exception>
    public void Attach(DiskConfiguration disk) => _disks.Add(
        other => other.Configuration.Device.Number == disk.Device.Number, $"there is a disk {disk.Device.Name} already",
        () =>
        {
            var made = new ServedDisk(store, domain, ServedDevice.FindServer(store, domain, disk.Backend!), disk);
            made.Ended.ContinueWith(_ => _disks.Remove(made), TaskScheduler.Default);
            return made;
        });

    /// <summary>Asks the domain that serves a disk to close it, and removes it when it has.</summary>
    /// <exception cref="HostException">It isn't closed within <paramref name="timeout"/>, and <paramref name="force"/> isn't set.</exception>
    public void Detach(string name, bool force, TimeSpan timeout)
    {
        ServedDisk disk = Find(name) ?? throw new HostException($"there is no disk {name}");
        _disks.Detach(
            disk, force, timeout,
            $"{disk.Configuration.Device.Name} is not closed by the guest or by domain {disk.Configuration.Backend}, which serves it. It is detached when it is; force detaches it now");
    }

    /// <inheritdoc/>
    public void Dispose() => _disks.Dispose();

    private ServedDisk? Find(string name)
    {
        List<ServedDisk> disks = _disks.ConvertAll(static disk => disk);
        return disks.Find(disk => disk.Configuration.Device.Name == name)
            ?? (VirtualDevice.TryParse(name, out VirtualDevice device) ? disks.Find(disk => disk.Configuration.Device.Number == device.Number) : null);
    }

    /// <summary>One of them.</summary>
    private sealed class ServedDisk(XenStore store, Domain domain, ushort server, DiskConfiguration disk) : IDetachable
    {
        private readonly ServedDevice _device = new(store, domain, $"disk {disk.Device.Name}", "vbd", disk.Device.Number, server, Front(disk), Back(disk));

        public DiskConfiguration Configuration => disk;

        public DiskStatus Status => new(
            disk, (_device.ReadNumber(_device.Back, "sectors") ?? 0) * (ulong)BlockDisk.Unit, (int)_device.State, _device.ReadNumber(_device.Front, "event-channel"),
            _device.ReadNumber(_device.Front, "ring-ref") ?? _device.ReadNumber(_device.Front, "ring-ref0"), _device.Back, default)
        {
            BackendId = server,
        };

        public Task Released => _device.Released;

        public Task Ended => _device.Ended;

        public void BeginDetach() => _device.BeginDetach();

        public void Dispose() => _device.Dispose();

        private static (string, string)[] Front(DiskConfiguration disk) =>
        [
            ("virtual-device", disk.Device.Number.ToString(CultureInfo.InvariantCulture)),
            ("device-type", disk.Type == DiskType.Cdrom ? "cdrom" : "disk"),
        ];

        private static (string, string)[] Back(DiskConfiguration disk) =>
        [
            ("params", disk.Path),
            ("removable", disk.Type == DiskType.Cdrom ? "1" : "0"),
            ("bootable", "1"),
            ("dev", disk.Device.Name),
            ("type", "phy"),
            ("mode", disk.ReadOnly || disk.Type == DiskType.Cdrom ? "r" : "w"),
            ("device-type", disk.Type == DiskType.Cdrom ? "cdrom" : "disk"),
            ("discard-enable", disk.Discard ? "1" : "0"),
        ];
    }
}
