using Dbt.Cli.Api;
using Dbt.Devices;
using Dbt.Devices.Network;
using Dbt.Devices.Snapshot;
using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Snapshot;
using Google.Protobuf;
using Domain = Dbt.Xen.Domain;

namespace Dbt.Cli.Running;

/// <summary>A saved guest's file that is open to be restored.</summary>
internal sealed class SavedGuest : IDisposable
{
    private readonly FileStream _file;
    private readonly SnapshotReader _reader;
    private readonly Action<SnapshotProgress>? _progress;
    private readonly CancellationToken _cancellation;
    private StateReader? _state;

    private SavedGuest(FileStream file, SnapshotReader reader, SavedConfiguration configuration, Action<SnapshotProgress>? progress, CancellationToken cancellation)
    {
        _file = file;
        _reader = reader;
        _progress = progress;
        _cancellation = cancellation;
        Origin = configuration.Request;
        KernelDigest = configuration.KernelDigest.ToByteArray();
        Name = reader.Header.Name;
        Uuid = reader.Header.Uuid;
    }

    /// <summary>The file.</summary>
    public string Source => _file.Name;

    /// <summary>The request by which it was made once.</summary>
    public CreateRequest Origin { get; }

    /// <summary>The SHA-256 of its kernel's file.</summary>
    public byte[] KernelDigest { get; }

    /// <summary>Its name, which can be another one than it had.</summary>
    public string Name { get; set; }

    /// <summary>Its UUID, which can be another one than it had.</summary>
    public Guid Uuid { get; set; }

    /// <summary>Whether it goes on with the devices that it had, or sets them up anew.</summary>
    public bool IsLive => _reader.Header.Kind == ImageKind.Live;

    /// <summary>Opens a file.</summary>
    /// <exception cref="SnapshotException">It is no saved guest, or a damaged one.</exception>
    /// <exception cref="IOException">It can't be read.</exception>
    public static SavedGuest Open(string path, Action<SnapshotProgress>? progress, CancellationToken cancellation)
    {
        const int buffer = 1 << 20;
        var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, buffer, FileOptions.SequentialScan);
        try
        {
            var reader = new SnapshotReader(file);
            return new SavedGuest(file, reader, SavedConfiguration.Parser.ParseFrom(reader.Configuration), progress, cancellation);
        }
        catch (Exception exception)
        {
            file.Dispose();
            throw exception is InvalidProtocolBufferException ? new SnapshotException("what the guest was made from can't be read: it is damaged", exception) : exception;
        }
    }

    /// <summary>What is saved beside the state.</summary>
    public static byte[] Describe(CreateRequest origin, byte[] kernelDigest) =>
        new SavedConfiguration { Request = origin, KernelDigest = ByteString.CopyFrom(kernelDigest) }.ToByteArray();

    /// <summary>Makes its domain, paused, without devices. Once.</summary>
    /// <exception cref="SnapshotException">It is damaged, or doesn't fit here.</exception>
    public Domain Build(Hypervisor machine, EngineOptions engine)
    {
        using var restorer = new DomainRestorer(machine, _reader.Header, engine, Name, Uuid);
        _state = _reader.Read(restorer, _progress, _cancellation);
        restorer.Finish(_state);
        return restorer.Domain;
    }

    /// <summary>Gives it its devices, which are held.</summary>
    /// <exception cref="SnapshotException">What was saved of them is not good.</exception>
    /// <exception cref="Runtime.HostException">One can't be used here.</exception>
    public DeviceHost AttachDevices(Domain domain, DeviceConfiguration configuration)
    {
        DeviceHost devices;
        if (IsLive)
        {
            devices = DeviceHost.Restore(domain, configuration, _state!);
        }
        else
        {
            (IReadOnlyList<DiskConfiguration> disks, IReadOnlyList<string> cards) = DeviceHost.ReadDevices(_state!);
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
            _state!.End();
        }
        catch
        {
            devices.Dispose();
            throw;
        }

        return devices;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _reader.Dispose();
        _file.Dispose();
    }

    private static NetworkConfiguration Card(DeviceConfiguration configuration, string specification)
    {
        NetworkConfiguration card = configuration.ParseNetwork!(specification);
        return configuration.Networks.FirstOrDefault(other => other.Handle == card.Handle) ?? card;
    }
}
