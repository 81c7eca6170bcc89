using System.Globalization;
using Dbt.Devices.Block;
using Dbt.Devices.Console;
using Dbt.Devices.Network;
using Dbt.Devices.Served;
using Dbt.Devices.Store;
using Dbt.Runtime;
using Dbt.Xen;

namespace Dbt.Devices;

/// <summary>
/// A domain's devices: xenstore, console, disks and network cards. Attach after the domain was built and before its processors run; dispose after it has
/// stopped and before the domain is disposed.
/// </summary>
public sealed partial class DeviceHost : IDisposable
{
    private readonly Domain _domain;
    private readonly DiskSet _disks;
    private readonly NetworkSet _networks;
    private readonly ServedDisks _servedDisks;
    private readonly ServedNetworks _servedNetworks;
    private StoreBackend? _storeBackend;
    private ConsoleBackend? _console;

    private DeviceHost(Domain domain, XenStore store)
    {
        _domain = domain;
        Store = store;
        _disks = new DiskSet(store, new DomainFrontend(domain));
        _networks = new NetworkSet(store, new DomainFrontend(domain));
        _servedDisks = new ServedDisks(store, domain);
        _servedNetworks = new ServedNetworks(store, domain);
    }

    /// <summary>The store that the domain is in.</summary>
    public XenStore Store { get; }

    /// <summary>The domain's home in the store, <c>/local/domain/&lt;id&gt;</c>.</summary>
    public string Home => StorePath.Home(_domain.Id);

    /// <summary>The disks that are attached now, in the order in which they were. Any thread.</summary>
    public IReadOnlyList<DiskStatus> Disks => [.. _disks.Statuses, .. _servedDisks.Statuses];

    /// <summary>Attaches a disk, to a running guest too. Any thread.</summary>
    /// <exception cref="HostException">The image can't be used, the domain that is to serve it isn't there, or the guest has such a disk.</exception>
    public void AttachDisk(DiskConfiguration disk)
    {
        bool isThere = disk.Backend is null ? _servedDisks.Has(disk.Device.Name) : _disks.Statuses.Any(other => other.Configuration.Device.Number == disk.Device.Number);
        if (isThere)
        {
            throw new HostException($"there is a disk {disk.Device.Name} already");
        }

        if (disk.Backend is null)
        {
            _disks.Attach(disk);
        }
        else
        {
            _servedDisks.Attach(disk);
        }
    }

    /// <summary>
    /// Detaches a disk from a running guest: asks the guest to close it, waits until it has (ten seconds at most), and removes it. Where the guest
    /// doesn't, because the disk is mounted for instance, the disk stays as it is until the guest does, and goes then. Any thread.
    /// </summary>
    /// <param name="name">The guest's name for it, such as <c>xvdb</c>, or its number.</param>
    /// <param name="force">Remove it after the wait whatever the guest says: it may lose what it didn't write yet.</param>
    /// <exception cref="HostException">There is no such disk, or the guest doesn't close it and <paramref name="force"/> isn't set.</exception>
    public void DetachDisk(string name, bool force)
    {
        if (_servedDisks.Has(name))
        {
            _servedDisks.Detach(name, force, DiskSet.DetachTimeout);
            return;
        }

        _disks.Detach(name, force, DiskSet.DetachTimeout);
    }

    /// <summary>Tells the guest how large a disk's image is now, after it was made larger on the host. Any thread.</summary>
    /// <param name="name">The guest's name for it, or its number.</param>
    /// <returns>The size, bytes.</returns>
    /// <exception cref="HostException">There is no such disk.</exception>
    public ulong ResizeDisk(string name) => _disks.Resize(name);

    /// <summary>Takes the locks of disks that were attached without (<see cref="DiskConfiguration.LocksLater"/>). Any thread.</summary>
    /// <returns>False where another has one of them.</returns>
    public bool TryLockDisks() => _disks.TryLock();

    /// <summary>The network cards that are attached now, in the order in which they were. Any thread.</summary>
    public IReadOnlyList<NetworkStatus> Networks => [.. _networks.Statuses, .. _servedNetworks.Statuses];

    /// <summary>Attaches a network card, to a running guest too. Any thread.</summary>
    /// <exception cref="HostException">What it is plugged into can't be opened, the domain that is to serve it isn't there, or the guest has a card of that handle.</exception>
    public void AttachNetwork(NetworkConfiguration card)
    {
        bool isThere = card.Server is null ? _servedNetworks.Statuses.Any(other => other.Card.Handle == card.Handle) : _networks.Statuses.Any(other => other.Card.Handle == card.Handle);
        if (isThere)
        {
            throw new HostException($"there is a network card {card.Handle} already");
        }

        if (card.Server is null)
        {
            _networks.Attach(card);
        }
        else
        {
            _servedNetworks.Attach(card);
        }
    }

    /// <summary>
    /// Detaches a network card from a running guest: asks the guest to close it, waits until it has (ten seconds at most), and removes it. Where
    /// the guest doesn't, the card stays as it is until the guest does, and goes then. Any thread.
    /// </summary>
    /// <param name="name">The card's handle, such as <c>0</c>, or its address.</param>
    /// <param name="force">Remove it after the wait whatever the guest says.</param>
    /// <exception cref="HostException">There is no such card, or the guest doesn't close it and <paramref name="force"/> isn't set.</exception>
    public void DetachNetwork(string name, bool force)
    {
        if (_servedNetworks.Has(name))
        {
            _servedNetworks.Detach(name, force, NetworkSet.DetachTimeout);
            return;
        }

        _networks.Detach(name, force, NetworkSet.DetachTimeout);
    }

    /// <summary>Tells the networks of all cards where the guest is now: for a guest that came from another host.</summary>
    public void AnnounceNetworks() => _networks.Announce();

    /// <summary>Attaches a domain's devices.</summary>
    /// <exception cref="HostException">A disk image or a network can't be used, or is named twice; nothing is left behind.</exception>
    public static DeviceHost Attach(Domain domain, DeviceConfiguration configuration)
    {
        var host = new DeviceHost(domain, configuration.Store ?? new XenStore());
        try
        {
            host.Start(configuration);
        }
        catch
        {
            host.Dispose();
            throw;
        }

        return host;
    }

    /// <summary>Bytes that the guest wrote to its console so far.</summary>
    public long ConsoleOutputBytes => _console?.OutputBytes ?? 0;

    /// <summary>Whether the guest has asked for a line on its console, as far as the output tells.</summary>
    public bool HasPrompted => _console?.HasPrompted ?? false;

    /// <summary>Asks the guest to power off or to reboot, as <c>xl shutdown</c> and <c>xl reboot</c> do.</summary>
    /// <param name="request"><c>poweroff</c>, <c>reboot</c>, <c>halt</c> or <c>suspend</c>.</param>
    public void RequestShutdown(string request) => Store.Write(Home + "/control/shutdown", request);

    /// <summary>
    /// Asks the guest to use so many of its processors, the first ones, as <c>xl vcpu-set</c> does: a kernel that can bring processors up
    /// and down watches the nodes <c>cpu/N/availability</c>.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Fewer than one, or more than the domain has.</exception>
    public void SetOnlineProcessors(int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, _domain.Vcpus.Count);
        for (int i = 0; i < _domain.Vcpus.Count; i++)
        {
            Store.Write($"{Home}/cpu/{i.ToString(CultureInfo.InvariantCulture)}/availability", i < count ? "online" : "offline");
        }
    }

    /// <summary>
    /// The domain has stopped and is kept for somebody to look at, while another takes its name, its UUID and what it used of the host: its
    /// disks and network cards are detached.
    /// </summary>
    /// <param name="name">Its name from now on.</param>
    /// <param name="uuid">Its UUID from now on.</param>
    public void Preserve(string name, Guid uuid)
    {
        _networks.Dispose();
        _disks.Dispose();
        _servedDisks.Dispose();
        _servedNetworks.Dispose();
        DomainNodes.ChangeUuid(Store, _domain, uuid);
        Rename(name);
    }

    /// <summary>Gives the domain another name. Any thread.</summary>
    public void Rename(string name)
    {
        _domain.Name = name;
        DomainNodes.WriteName(Store, _domain);
    }

    /// <summary>Takes the last console output, finishes what is on the disks' rings, and removes all of the domain's nodes.</summary>
    public void Dispose()
    {
        _console?.Dispose();
        _console = null;
        _networks.Dispose();
        _disks.Dispose();
        _servedDisks.Dispose();
        _servedNetworks.Dispose();
        _storeBackend?.Dispose();
        _storeBackend = null;
        DomainNodes.Remove(Store, _domain);
    }

    private void Start(DeviceConfiguration configuration)
    {
        var frontend = new DomainFrontend(_domain);
        DomainNodes.Create(Store, _domain);
        foreach (DiskConfiguration disk in configuration.Disks)
        {
            AttachDisk(disk);
        }

        foreach (NetworkConfiguration card in configuration.Networks)
        {
            AttachNetwork(card);
        }

        _storeBackend = new StoreBackend(Store, frontend, frontend.MapFrame(_domain.StoreMfn), _domain.StorePort);
        _console = new ConsoleBackend(
            frontend, frontend.MapFrame(_domain.ConsoleMfn), _domain.ConsolePort,
            configuration.ConsoleInput, configuration.ConsoleOutput, configuration.PaceInput);
        XenStore store = Store;
        _domain.Stopped.ContinueWith(_ => store.FireRelease(), TaskScheduler.Default);
    }
}
