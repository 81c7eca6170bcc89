using System.Globalization;
using Dbt.Devices.Block;
using Dbt.Devices.Console;
using Dbt.Devices.Network;
using Dbt.Devices.Network.Frontend;
using Dbt.Devices.Store;
using Dbt.Runtime;
using Dbt.Xen;
using Dbt.Xen.Snapshot;

namespace Dbt.Devices;

/// <content>Going on elsewhere: the order is Domain.Pause, <see cref="Hold"/>, captures, and then <see cref="Release"/> and Domain.Resume, or the end.</content>
public sealed partial class DeviceHost
{
    /// <summary>
    /// Has all back ends take nothing new from the guest, and waits until what is under way is answered: nobody but the caller reads or writes the guest's
    /// memory afterwards. The domain is paused, and stays so until after <see cref="Release"/>.
    /// </summary>
    public void Hold()
    {
        _disks.ForEach(static disk => disk.Hold());
        _networks.ForEach(static card => card.Hold());
        _console?.Hold();
        _storeBackend?.Hold();
    }

    /// <summary>Lets the back ends go on where they were held, as it were never interrupted. Before the domain goes on.</summary>
    public void Release()
    {
        _storeBackend?.Release();
        _console?.Release();
        _networks.ForEach(static card => card.Release());
        _disks.ForEach(static disk => disk.Release());
    }

    /// <summary>Has the host write what the guest's disks hold in its cache. While they are held.</summary>
    /// <exception cref="HostException">It can't.</exception>
    public void FlushDisks() => _disks.ForEach(static disk =>
    {
        try
        {
            disk.Flush();
        }
        catch (IOException exception)
        {
            throw new HostException($"disk image '{disk.Configuration.Path}': {exception.Message}", exception);
        }
    });

    /// <summary>Why the domain can't go on elsewhere with the devices that it has: another domain serves one. Null where it can. Any thread.</summary>
    public string? WhyItStays
    {
        get
        {
            string? served = _servedDisks.Statuses.Select(static disk => $"{disk.Configuration.Backend} serves disk {disk.Configuration.Device.Name}")
                .Concat(_servedNetworks.Statuses.Select(static card => string.Create(CultureInfo.InvariantCulture, $"{card.Card.Server} serves network card {card.Card.Handle}")))
                .FirstOrDefault();
            return served is null ? null : $"domain {served} of {_domain.Name}; detach it first, as such devices can't be saved or moved";
        }
    }

    /// <summary>Writes the devices' sections, from <see cref="SectionType.Store"/> to <see cref="SectionType.NetworkFrames"/>. While they are held.</summary>
    /// <exception cref="SnapshotException">Another domain serves one of them.</exception>
    public void Capture(StateWriter writer)
    {
        if (WhyItStays is { } why)
        {
            throw new SnapshotException(why);
        }

        writer.Section(SectionType.Store, section =>
        {
            Store.CaptureNodes(section, _domain.Id, DomainNodes.Trees(_domain), new StoreNames(_domain.Id, _domain.GuestId).ToGuest);
            _storeBackend!.Capture(section);
        });
        writer.Section(SectionType.Console, _console!.Capture);
        _disks.ForEach(disk => writer.Section(SectionType.Disk, disk.Configuration.Device.Number, disk.Capture));
        _networks.ForEach(card =>
        {
            writer.Section(SectionType.Network, card.Configuration.Handle, card.Capture);
            card.CaptureWaiting(writer);
        });
    }

    /// <summary>
    /// Gives a domain of <see cref="DomainRestorer"/> the devices that it had, held until <see cref="Release"/>. A disk or a card that the configuration
    /// has too (by number) is as there; others are as they were.
    /// </summary>
    /// <exception cref="SnapshotException">The state is not good.</exception>
    /// <exception cref="HostException">An image or a network can't be used here.</exception>
    public static DeviceHost Restore(Domain domain, DeviceConfiguration configuration, StateReader state)
    {
        var host = new DeviceHost(domain, configuration.Store ?? new XenStore());
        try
        {
            host.Restore(configuration, state);
        }
        catch
        {
            host.Dispose();
            throw;
        }

        return host;
    }

    /// <summary>Takes the sections of the devices out of a state whose guest sets its devices up anew, and reads which it had.</summary>
    /// <returns>Disks, and specifications of network cards.</returns>
    /// <exception cref="SnapshotException">The state is not good.</exception>
    public static (IReadOnlyList<DiskConfiguration> Disks, IReadOnlyList<string> Networks) ReadDevices(StateReader state)
    {
        _ = state.TryTake(SectionType.Store);
        _ = state.TryTake(SectionType.Console);
        _ = state.TakeAll(SectionType.NetworkFrames);
        return (
            [.. state.TakeAll(SectionType.Disk).Select(static section => BlockBackend.Read(section).Disk)],
            [.. state.TakeAll(SectionType.Network).Select(static section => VifBackend.Read(section).Specification)]);
    }

    private void Restore(DeviceConfiguration configuration, StateReader state)
    {
        SectionReader saved = state.Take(SectionType.Store);
        var names = new StoreNames(_domain.Id, _domain.GuestId);
        Store.RestoreNodes(saved, _domain.Id, DomainNodes.Trees(_domain), names.ToStore);
        DomainNodes.Adopt(Store, _domain);
        foreach (SectionReader section in state.TakeAll(SectionType.Disk))
        {
            RestoreDisk(configuration, section);
        }

        foreach (SectionReader section in state.TakeAll(SectionType.Network))
        {
            RestoreNetwork(configuration, section, state.TryTake(SectionType.NetworkFrames, section.Instance));
        }

        var frontend = new DomainFrontend(_domain);
        _storeBackend = Serve(saved, _domain.StoreMfn, page => new StoreBackend(Store, frontend, page, _domain.StorePort, names, saved));
        saved.End();
        SectionReader console = state.Take(SectionType.Console);
        _console = Serve(console, _domain.ConsoleMfn, page => new ConsoleBackend(
            frontend, page, _domain.ConsolePort, configuration.ConsoleInput, configuration.ConsoleOutput, configuration.PaceInput, console));
        _domain.Stopped.ContinueWith(_ => Store.FireRelease(), TaskScheduler.Default);
    }

    private void RestoreDisk(DeviceConfiguration configuration, SectionReader section)
    {
        (DiskConfiguration disk, ulong sectors, SavedBlockState saved) = BlockBackend.Read(section);
        if (configuration.Disks.FirstOrDefault(other => other.Device.Number == disk.Device.Number) is { } here)
        {
            // What the guest was told of its disk stays.
            disk = disk with { Path = here.Path, IsSurelyRaw = here.IsSurelyRaw };
        }

        bool writes = !disk.ReadOnly && disk.Type != DiskType.Cdrom;
        _disks.Restore(disk with { LocksLater = configuration.DisksLockLater, IsOverlaid = configuration.DisksOverlaid && writes }, saved);
        DiskStatus status = _disks.Statuses[^1];
        if (status.Bytes < sectors * BlockDisk.Unit)
        {
            throw new HostException(string.Create(CultureInfo.InvariantCulture,
                $"disk image '{disk.Path}' is smaller than when the guest was saved: {status.Bytes} bytes instead of {sectors * BlockDisk.Unit}"));
        }
    }

    private void RestoreNetwork(DeviceConfiguration configuration, SectionReader section, SectionReader? frames)
    {
        (string specification, MacAddress mac, SavedVifState saved) = VifBackend.Read(section);
        NetworkConfiguration card = configuration.Networks.FirstOrDefault(other => other.Handle == section.Instance)
            ?? (specification.Length != 0 ? configuration.ParseNetwork?.Invoke(specification) : null)
            ?? throw new HostException(string.Create(CultureInfo.InvariantCulture,
                $"nothing says what network card {section.Instance} of the guest is to be plugged into; name it in a configuration"));
        _networks.Restore(card with { Handle = section.Instance, Mac = mac }, frames is null ? saved : saved with { Waiting = WaitingFrames.Read(frames) });
    }

    private T Serve<T>(SectionReader section, uint mfn, Func<ISharedPage, T> serve)
    {
        if (!_domain.Memory.TryGetPageAndType(mfn, Xen.Memory.PageType.Writable))
        {
            throw section.Error("its ring lies where none can be");
        }

        _domain.Memory.PutPageAndType(mfn);
        ISharedPage page = new DomainFrontend(_domain).MapFrame(mfn);
        try
        {
            return serve(page);
        }
        catch
        {
            page.Dispose();
            throw;
        }
    }
}
