using Dbt.Devices.Store;
using Dbt.Runtime;

namespace Dbt.Devices.Block;

/// <summary>A domain's disks, attached and detached while it runs. Thread-safe.</summary>
internal sealed class DiskSet(XenStore store, IFrontend frontend) : IDisposable
{
    /// <summary>How long a guest has for closing a disk, as with xl.</summary>
    public static readonly TimeSpan DetachTimeout = TimeSpan.FromSeconds(10);

    private readonly DeviceSet<BlockBackend> _disks = new();

    /// <summary>The disks as they are now, in the order in which they were attached.</summary>
    public IReadOnlyList<DiskStatus> Statuses => _disks.ConvertAll(static disk => disk.Status);

    /// <summary>Takes the locks of images that were opened without.</summary>
    /// <returns>False where another has one.</returns>
    public bool TryLock() => _disks.ConvertAll(static disk => !disk.Configuration.LocksLater || disk.TryLock()).TrueForAll(static locked => locked);

    /// <summary>Opens a disk's image and offers it to the guest.</summary>
    /// <exception cref="HostException">The image can't be used, or there is a disk of that number.</exception>
    public void Attach(DiskConfiguration disk) => _disks.Add(
        other => other.Configuration.Device.Number == disk.Device.Number, $"there is a disk {disk.Device.Name} already", () => Open(disk));

    /// <summary>Tells the guest how large a disk's image is now.</summary>
    /// <returns>The size, bytes.</returns>
    /// <exception cref="HostException">There is no such disk.</exception>
    public ulong Resize(string name) => Find(name).Resize();

    /// <summary>Asks the guest to close a disk and removes it when it has; see <see cref="DeviceHost.DetachDisk"/>.</summary>
    /// <exception cref="HostException">There is no such disk, or the guest doesn't close it and <paramref name="force"/> isn't set.</exception>
    public void Detach(string name, bool force, TimeSpan timeout)
    {
        BlockBackend disk = Find(name);
        _disks.Detach(
            disk, force, timeout,
            $"the guest doesn't let go of {disk.Configuration.Device.Name}: is it mounted? It is detached when the guest closes it; force detaches it now");
    }

    /// <summary>Does something with each disk; none is disposed of meanwhile.</summary>
    public void ForEach(Action<BlockBackend> action) => _disks.ForEach(action);

    /// <summary>Opens the image of a disk that the guest has already; it is held until it is released.</summary>
    /// <exception cref="HostException">The image can't be used.</exception>
    public void Restore(DiskConfiguration disk, SavedBlockState saved) => _disks.Add(
        other => other.Configuration.Device.Number == disk.Device.Number, $"there is a disk {disk.Device.Name} already", () => Open(disk, saved));

    /// <inheritdoc/>
    public void Dispose() => _disks.Dispose();

    private BlockBackend Open(DiskConfiguration disk, SavedBlockState? saved = null)
    {
        IDiskImage image = disk.IsOverlaid ? OverlayImage.Open(disk.Path, disk.IsSurelyRaw) : RawImage.Open(disk.Path, disk.ReadOnly || disk.Type == DiskType.Cdrom, disk.IsSurelyRaw, disk.LocksLater);
        try
        {
            return new BlockBackend(store, frontend, disk, image, saved);
        }
        catch
        {
            image.Dispose();
            throw;
        }
    }

    private BlockBackend Find(string name)
    {
        List<BlockBackend> disks = _disks.ConvertAll(static disk => disk);
        BlockBackend? found = disks.Find(disk => disk.Configuration.Device.Name == name)
            ?? (VirtualDevice.TryParse(name, out VirtualDevice device) ? disks.Find(disk => disk.Configuration.Device.Number == device.Number) : null);
        return found ?? throw new HostException(disks.Count == 0 ? $"there is no disk {name}; the guest has none"
            : $"there is no disk {name}; the guest has {string.Join(", ", disks.Select(static disk => disk.Configuration.Device.Name))}");
    }
}
