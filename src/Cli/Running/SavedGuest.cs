using Dbt.Cli.Api;
using Dbt.Devices;
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
        DeviceHost devices = IsLive ? DeviceHost.Restore(domain, configuration, state) : FreshDevices.Attach(domain, configuration, state, sameAddresses: false);
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
}
