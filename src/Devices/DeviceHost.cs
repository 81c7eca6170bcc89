using Dbt.Devices.Block;
using Dbt.Devices.Console;
using Dbt.Devices.Store;
using Dbt.Runtime;
using Dbt.Xen;

namespace Dbt.Devices;

/// <summary>
/// A domain's devices: xenstore, console and disks. Attach after the domain was built and before its processors run; dispose after it has
/// stopped and before the domain is disposed.
/// </summary>
public sealed class DeviceHost : IDisposable
{
    private readonly Domain _domain;
    private readonly List<BlockBackend> _disks = [];
    private StoreBackend? _storeBackend;
    private ConsoleBackend? _console;

    private DeviceHost(Domain domain, XenStore store)
    {
        _domain = domain;
        Store = store;
    }

    /// <summary>The store that the domain is in.</summary>
    public XenStore Store { get; }

    /// <summary>The domain's home in the store, <c>/local/domain/&lt;id&gt;</c>.</summary>
    public string Home => StorePath.Home(_domain.Id);

    /// <summary>Attaches a domain's devices.</summary>
    /// <exception cref="HostException">A disk image can't be used, or is named twice; nothing is left behind.</exception>
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

    /// <summary>Asks the guest to power off or to reboot, as <c>xl shutdown</c> and <c>xl reboot</c> do.</summary>
    /// <param name="request"><c>poweroff</c>, <c>reboot</c>, <c>halt</c> or <c>suspend</c>.</param>
    public void RequestShutdown(string request) => Store.Write(Home + "/control/shutdown", request);

    /// <summary>Takes the last console output, finishes what is on the disks' rings, and removes all of the domain's nodes.</summary>
    public void Dispose()
    {
        _console?.Dispose();
        _console = null;
        foreach (BlockBackend disk in _disks)
        {
            disk.Dispose();
        }

        _disks.Clear();
        _storeBackend?.Dispose();
        _storeBackend = null;
        DomainNodes.Remove(Store, _domain);
    }

    private void Start(DeviceConfiguration configuration)
    {
        var frontend = new DomainFrontend(_domain);
        DomainNodes.Create(Store, _domain);
        var numbers = new HashSet<uint>();
        foreach (DiskConfiguration disk in configuration.Disks)
        {
            if (!numbers.Add(disk.Device.Number))
            {
                throw new HostException($"disk {disk.Device.Name} is configured twice");
            }

            RawImage image = RawImage.Open(disk.Path, disk.ReadOnly || disk.Type == DiskType.Cdrom);
            _disks.Add(new BlockBackend(Store, frontend, disk, image));
        }

        _storeBackend = new StoreBackend(Store, frontend, frontend.MapFrame(_domain.StoreMfn), _domain.StorePort);
        _console = new ConsoleBackend(
            frontend, frontend.MapFrame(_domain.ConsoleMfn), _domain.ConsolePort,
            configuration.ConsoleInput, configuration.ConsoleOutput, configuration.PaceInput);
        XenStore store = Store;
        _domain.Stopped.ContinueWith(_ => store.FireRelease(), TaskScheduler.Default);
    }
}
