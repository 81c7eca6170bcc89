using Dbt.Devices;
using Dbt.Devices.Network;
using Dbt.Xen;
using Dbt.Xen.Snapshot;

namespace Dbt.Cli.Running;

/// <summary>Devices of a guest that suspended itself: those that it had, in their first state, which it finds and connects to anew.</summary>
internal static class FreshDevices
{
    /// <summary>Attaches them. A disk or a card that the configuration has too (by number) is as there.</summary>
    /// <param name="domain">The domain, without devices.</param>
    /// <param name="configuration">Where they go.</param>
    /// <param name="state">What was saved of them.</param>
    /// <param name="sameAddresses">A card has the address that it had, whatever the configuration says.</param>
    /// <exception cref="SnapshotException">What was saved is not good.</exception>
    /// <exception cref="Runtime.HostException">One can't be used here.</exception>
    public static DeviceHost Attach(Domain domain, DeviceConfiguration configuration, StateReader state, bool sameAddresses)
    {
        (IReadOnlyList<DiskConfiguration> disks, IReadOnlyList<string> cards) = DeviceHost.ReadDevices(state);
        DeviceHost devices = DeviceHost.Attach(domain, new DeviceConfiguration
        {
            ConsoleInput = configuration.ConsoleInput,
            ConsoleOutput = configuration.ConsoleOutput,
            PaceInput = configuration.PaceInput,
            Store = configuration.Store,
            Disks = [.. disks.Select(Disk)],
            Networks = [.. cards.Select(Card)],
        });

        // The kernel says that it can when it starts, and this one doesn't start.
        devices.Store.Write(devices.Home + "/control/feature-suspend", "1");
        return devices;

        DiskConfiguration Disk(DiskConfiguration disk) =>
            (configuration.Disks.FirstOrDefault(other => other.Device.Number == disk.Device.Number) ?? disk) with { LocksLater = configuration.DisksLockLater };

        NetworkConfiguration Card(string specification)
        {
            NetworkConfiguration card = configuration.ParseNetwork!(specification);
            NetworkConfiguration? here = configuration.Networks.FirstOrDefault(other => other.Handle == card.Handle);
            return here is null ? card : sameAddresses ? here with { Mac = card.Mac } : here;
        }
    }
}
