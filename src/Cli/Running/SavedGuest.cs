using Dbt.Cli.Api;
using Dbt.Devices;
using Dbt.Devices.Network;
using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Snapshot;
using Google.Protobuf;
using Domain = Dbt.Xen.Domain;

namespace Dbt.Cli.Running;

/// <summary>A saved guest that is to be made again.</summary>
internal abstract class SavedGuest
{
    /// <summary>The file.</summary>
    public abstract string Source { get; }

    /// <summary>The SHA-256 of its kernel's file.</summary>
    public abstract byte[] KernelDigest { get; }

    /// <summary>Its name, which can be another one than it had.</summary>
    public required string Name { get; set; }

    /// <summary>Its UUID, which can be another one than it had.</summary>
    public required Guid Uuid { get; set; }

    /// <summary>Whether it goes on with the devices that it had, or sets them up anew.</summary>
    public abstract bool IsLive { get; }

    /// <summary>Whether its disks stay as they are, whatever it writes.</summary>
    public virtual bool HasOverlays => false;

    /// <summary>What is saved beside the state.</summary>
    public static byte[] Describe(CreateRequest origin, byte[] kernelDigest) =>
        new SavedConfiguration { Request = origin, KernelDigest = ByteString.CopyFrom(kernelDigest) }.ToByteArray();

    /// <summary>Makes its domain, paused, without devices. Once.</summary>
    /// <exception cref="SnapshotException">It is damaged, or doesn't fit here.</exception>
    public abstract Domain Build(Hypervisor machine, EngineOptions engine);

    /// <summary>Gives it its devices, which are held.</summary>
    /// <exception cref="SnapshotException">What was saved of them is not good.</exception>
    /// <exception cref="Runtime.HostException">One can't be used here.</exception>
    public abstract DeviceHost AttachDevices(Domain domain, DeviceConfiguration configuration);

    /// <summary>Gives it the devices of a state.</summary>
    protected DeviceHost AttachDevices(Domain domain, DeviceConfiguration configuration, StateReader state)
    {
        DeviceHost devices;
        if (IsLive)
        {
            devices = DeviceHost.Restore(domain, configuration, state);
        }
        else
        {
            (IReadOnlyList<DiskConfiguration> disks, IReadOnlyList<string> cards) = DeviceHost.ReadDevices(state);
            devices = DeviceHost.Attach(domain, new DeviceConfiguration
            {
                ConsoleInput = configuration.ConsoleInput,
                ConsoleOutput = configuration.ConsoleOutput,
                PaceInput = configuration.PaceInput,
                Store = configuration.Store,
                Disks = [.. disks.Select(disk => configuration.Disks.FirstOrDefault(other => other.Device.Number == disk.Device.Number) ?? disk)],
                Networks = [.. cards.Select(card => Card(configuration, card))],
            });

            // The kernel says that it can when it starts, and this one doesn't start.
            devices.Store.Write(devices.Home + "/control/feature-suspend", "1");
        }

        try
        {
            state.End();
        }
        catch
        {
            devices.Dispose();
            throw;
        }

        return devices;
    }

    private static NetworkConfiguration Card(DeviceConfiguration configuration, string specification)
    {
        NetworkConfiguration card = configuration.ParseNetwork!(specification);
        return configuration.Networks.FirstOrDefault(other => other.Handle == card.Handle) ?? card;
    }
}
