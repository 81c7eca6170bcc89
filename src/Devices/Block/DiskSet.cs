using Dbt.Devices.Store;
using Dbt.Runtime;

namespace Dbt.Devices.Block;

/// <summary>A domain's disks, attached and detached while it runs. Thread-safe.</summary>
internal sealed class DiskSet(XenStore store, IFrontend frontend) : IDisposable
{
    /// <summary>How long a guest has for closing a disk, as with xl.</summary>
    public static readonly TimeSpan DetachTimeout = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private readonly List<BlockBackend> _disks = [];
    private bool _disposed;

    /// <summary>The disks as they are now, in the order in which they were attached.</summary>
    public IReadOnlyList<DiskStatus> Statuses
    {
        get
        {
            lock (_lock)
            {
                return _disks.ConvertAll(static disk => disk.Status);
            }
        }
    }

    /// <summary>Opens a disk's image and offers it to the guest.</summary>
    /// <exception cref="HostException">The image can't be used, or there is a disk of that number.</exception>
    public void Attach(DiskConfiguration disk)
    {
        lock (_lock)
        {
            if (_disposed)
            {
                throw new HostException("the guest has ended");
            }

            if (_disks.Exists(other => other.Configuration.Device.Number == disk.Device.Number))
            {
                throw new HostException($"there is a disk {disk.Device.Name} already");
            }

            RawImage image = RawImage.Open(disk.Path, disk.ReadOnly || disk.Type == DiskType.Cdrom, disk.IsSurelyRaw);
            try
            {
                _disks.Add(new BlockBackend(store, frontend, disk, image));
            }
            catch
            {
                image.Dispose();
                throw;
            }
        }
    }

    /// <summary>Tells the guest how large a disk's image is now.</summary>
    /// <returns>The size, bytes.</returns>
    /// <exception cref="HostException">There is no such disk.</exception>
    public ulong Resize(string name) => Find(name).Resize();

    /// <summary>Asks the guest to close a disk and removes it when it has; see <see cref="DeviceHost.DetachDisk"/>.</summary>
    /// <exception cref="HostException">There is no such disk, or the guest doesn't close it and <paramref name="force"/> isn't set.</exception>
    public void Detach(string name, bool force, TimeSpan timeout)
    {
        BlockBackend disk = Find(name);
        disk.BeginDetach();
        if (!disk.Released.Wait(timeout) && !force)
        {
            // It goes as soon as the guest lets go of it.
            disk.Released.ContinueWith(_ => Remove(disk), TaskScheduler.Default);
            throw new HostException($"the guest doesn't let go of {disk.Configuration.Device.Name}: is it mounted? It is detached when the guest closes it; force detaches it now");
        }

        Remove(disk);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        BlockBackend[] disks;
        lock (_lock)
        {
            _disposed = true;
            disks = [.. _disks];
            _disks.Clear();
        }

        foreach (BlockBackend disk in disks)
        {
            disk.Dispose();
        }
    }

    private BlockBackend Find(string name)
    {
        lock (_lock)
        {
            BlockBackend? found = _disks.Find(disk => disk.Configuration.Device.Name == name)
                ?? (VirtualDevice.TryParse(name, out VirtualDevice device) ? _disks.Find(disk => disk.Configuration.Device.Number == device.Number) : null);
            return found ?? throw new HostException(_disks.Count == 0 ? $"there is no disk {name}; the guest has none"
                : $"there is no disk {name}; the guest has {string.Join(", ", _disks.Select(static disk => disk.Configuration.Device.Name))}");
        }
    }

    private void Remove(BlockBackend disk)
    {
        lock (_lock)
        {
            if (!_disks.Remove(disk))
            {
                return; // somebody else removed it
            }
        }

        disk.Dispose();
    }
}
