using System.Globalization;
using Dbt.Cli.Api;
using Dbt.Cli.Config;
using Dbt.Cli.Running;
using Dbt.Devices;
using Dbt.Devices.Network;
using Dbt.Runtime;
using Dbt.Translator.Diagnostics;
using Dbt.Xen;
using Dbt.Xen.Diagnostics;
using Dbt.Xen.Scheduling;
using Contracts = Dbt.Cli.Api;
using Domain = Dbt.Xen.Domain;

namespace Dbt.Cli.Control;

/// <summary>
/// A guest that runs in this process, for whoever asks something of it from outside: its domain, which is another one after a reboot, and its
/// devices. Any thread.
/// </summary>
/// <param name="guest">The guest.</param>
/// <param name="host">Where it lives.</param>
internal sealed partial class ControlledGuest(Guest guest, GuestHost host)
{
    // What Xen's toolstack adds to a limit (LIBXL_MAXMEM_CONSTANT).
    private const ulong SlackKib = 1024, PageKib = 4;
    private const ulong LeastKib = 1024;

    private readonly Lock _lock = new();
    private readonly TaskCompletionSource _startedOnce = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ManualResetEventSlim _saved = new(true);
    private long _started = Environment.TickCount64;
    private TaskCompletionSource _endOfDomain = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Domain? _domain;
    private DeviceHost? _devices;
    private ulong _maximumKib;
    private uint _id = host.OnlyId ?? 0;
    private bool _paused, _isFirst = true, _saving;

    /// <summary>The id of its domain, the last one where it is between two.</summary>
    public uint Id => Volatile.Read(ref _id);

    /// <summary>Called with the name that it was given.</summary>
    public Action<string>? Renamed { get; set; }

    /// <summary>Completes when its domain of now has stopped, and what follows has been done: it is gone, kept, or another has taken its place.</summary>
    public Task EndOfDomain
    {
        get
        {
            lock (_lock)
            {
                return _endOfDomain.Task;
            }
        }
    }

    /// <summary>Completes when its first domain has its devices and may run.</summary>
    public Task Started => _startedOnce.Task;

    /// <summary>Completes when it has ended for good.</summary>
    public Task EndOfGuest => _end.Task;

    /// <summary>A domain is the guest from now on.</summary>
    public void Attach(GuestLife life, bool paused)
    {
        lock (_lock)
        {
            _domain = life.Domain;
            _devices = life.Devices;
            _id = host.OnlyId ?? life.Domain.Id;
            _started = host.OnlyId is null ? Environment.TickCount64 : _started;
            _maximumKib = ulong.Parse(_devices.Store.Read(_devices.Home + "/memory/static-max")!, CultureInfo.InvariantCulture);
            _paused = paused;
            if (!_isFirst)
            {
                _endOfDomain.TrySetResult();
            }

            _isFirst = false;
            _endOfDomain = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _startedOnce.TrySetResult();
        }
    }

    /// <summary>The domain is about to go. Calls that are under way have ended when this returns.</summary>
    public void Detach()
    {
        EndMigration();

        // Whoever saves it has its domain and its devices in use.
        _saved.Wait();
        lock (_lock)
        {
            if (_paused)
            {
                _paused = false;
                _domain!.Resume();
            }


            _domain = null;
            _devices = null;
        }
    }

    /// <summary>Its domain has stopped and is kept as it is.</summary>
    public void Keep()
    {
        lock (_lock)
        {
            _endOfDomain.TrySetResult();
        }
    }

    /// <summary>It has ended for good.</summary>
    public void End()
    {
        Keep();
        _end.TrySetResult();
    }

    /// <summary>What there is to tell of it; null while it has no domain.</summary>
    public Contracts.Domain? TryDescribe()
    {
        lock (_lock)
        {
            return _domain is null ? null : Describe();
        }
    }

    /// <summary>What there is to tell of it.</summary>
    public Contracts.Domain Describe() => With((domain, devices) =>
    {
        var description = new Contracts.Domain
        {
            Name = guest.Name,
            Id = Id,
            Uuid = domain.Uuid.ToString(),
            MemoryKib = domain.Memory.PageCount * PageKib,
            TargetKib = ulong.TryParse(devices.Store.Read(devices.Home + "/memory/target"), CultureInfo.InvariantCulture, out ulong target) ? target : 0,
            MaximumKib = _maximumKib,
            Paused = _paused || _migration?.Undecided is not null,
            Stopped = domain.IsStopped ? Letter(domain.Stopped.Result) : "",
            UpSeconds = (Environment.TickCount64 - _started) / 1000.0,
            ProcessId = (uint)Environment.ProcessId,
            ProcessorsName = domain.ProcessorsName,
            Type = domain.IsTranslated ? "pvh" : "pv",
            Weight = (uint)domain.Share.Weight,
            Cap = (uint)domain.Share.Cap,
        };
        foreach ((VcpuActivity activity, Xen.Vcpu vcpu) in DomainActivity.Sample(domain).Vcpus.Zip(domain.Vcpus))
        {
            description.Vcpus.Add(new Contracts.Vcpu
            {
                State = !vcpu.IsUp ? Contracts.Vcpu.Types.State.Down
                    : activity.Doing == VcpuDoing.Running ? Contracts.Vcpu.Types.State.Running
                    : activity.Doing == VcpuDoing.Resting ? Contracts.Vcpu.Types.State.Runnable : Contracts.Vcpu.Types.State.Blocked,
                RunSeconds = vcpu.RunNanoseconds / 1e9,
            });
        }

        return description;
    });

    /// <summary>What it was made from and has, as JSON.</summary>
    public string Configuration() => With((domain, devices) => DomainJson.Write(guest.Config, domain, devices, Id, _maximumKib));

    /// <summary>Its processors' counters, as JSON.</summary>
    public string Statistics() => With((domain, _) => StatisticsFile.ToJson(domain));

    /// <summary>What it has used so far.</summary>
    public Contracts.Usage Usage() => With((domain, devices) =>
    {
        IReadOnlyList<NetworkStatus> cards = devices.Networks;
        IReadOnlyList<DiskStatus> disks = devices.Disks;
        return new Contracts.Usage
        {
            HostCpuSeconds = domain.Vcpus.Sum(static vcpu => vcpu.HostCpuTime.TotalSeconds),
            Networks = (uint)cards.Count,
            TransmittedBytes = (ulong)cards.Sum(static card => card.Traffic.TransmittedBytes),
            ReceivedBytes = (ulong)cards.Sum(static card => card.Traffic.ReceivedBytes),
            Disks = (uint)disks.Count,
            ReadRequests = (ulong)disks.Sum(static disk => disk.Traffic.ReadRequests),
            WriteRequests = (ulong)disks.Sum(static disk => disk.Traffic.WriteRequests),
            ReadSectors = (ulong)disks.Sum(static disk => disk.Traffic.ReadSectors),
            WrittenSectors = (ulong)disks.Sum(static disk => disk.Traffic.WrittenSectors),
        };
    });

    /// <summary>Gives it another name.</summary>
    public void Rename(string name) => Change((_, devices) =>
    {
        if (!GuestConfigReader.IsName(name))
        {
            throw new ControlException(ControlError.Invalid, $"\"{name}\" is not a name");
        }

        if (name != guest.Name)
        {
            host.TakeName(name, () => guest.Name = name);
            devices.Rename(name);
            Renamed?.Invoke(name);
        }

        return true;
    });

    /// <summary>Its log.</summary>
    public IReadOnlyList<string> Log() => With((domain, _) => domain.Log.Lines);

    /// <summary>Asks it to end.</summary>
    public void Shutdown(string what) => Change((_, devices) =>
    {
        if (what is not ("poweroff" or "reboot" or "halt"))
        {
            throw new ControlException(ControlError.Invalid, $"a guest can't be asked for '{what}'");
        }

        devices.RequestShutdown(what);
        return true;
    });

    /// <summary>Ends it.</summary>
    public void Destroy()
    {
        GiveUpUndecided();
        guest.Leave(ExitStatus.Failure);
    }

    /// <summary>Holds it, or lets it go on.</summary>
    /// <param name="paused">To hold it.</param>
    /// <param name="force">Also where its migration could not be decided.</param>
    public void SetPaused(bool paused, bool force = false) => With((domain, _) =>
    {
        if (DecideMigration(paused, force))
        {
            return true;
        }

        if (_paused != paused)
        {
            _paused = paused;
            if (paused)
            {
                domain.Pause();
            }
            else
            {
                domain.Resume();
            }
        }

        return true;
    });

    /// <summary>Saves it to a file; afterwards it ends, unless the request says otherwise.</summary>
    public async Task SaveAsync(SaveRequest request, Action<Progress> report, CancellationToken cancellation)
    {
        GuestSaver saver = Change((domain, devices) =>
        {
            BeginSaving();
            return new GuestSaver(guest, domain, devices, report);
        });
        try
        {
            await saver.SaveAsync(request, cancellation).ConfigureAwait(false);
            if (request.KeepRunning || request.LeavePaused)
            {
                if (request.LeavePaused)
                {
                    SetPaused(true);
                }

                saver.GoOn();
            }
            else
            {
                // It is in the file, and runs no further instruction here.
                guest.Leave(ExitStatus.Success);
            }
        }
        finally
        {
            EndSaving();
        }

        if (!request.KeepRunning && !request.LeavePaused)
        {
            await EndOfGuest.ConfigureAwait(false);
        }
    }

    /// <summary>Has its balloon bring it to a size, and limits it to that.</summary>
    public void SetMemoryTarget(ulong kib) => Change((domain, devices) =>
    {
        if (kib < LeastKib)
        {
            throw new ControlException(ControlError.Invalid, $"{kib} KiB is too little for any guest");
        }

        if (kib > _maximumKib)
        {
            throw new ControlException(ControlError.Refused, $"{kib} KiB is more than its maximum of {_maximumKib} KiB (maxmem in its configuration; dbt mem-max)");
        }

        domain.Memory.MaxPages = (uint)((kib + SlackKib) / PageKib);
        devices.Store.Write(devices.Home + "/memory/target", kib.ToString(CultureInfo.InvariantCulture));
        return true;
    });

    /// <summary>Changes what <see cref="SetMemoryTarget"/> may give it.</summary>
    public void SetMaximumMemory(ulong kib) => Change((domain, devices) =>
    {
        ulong target = ulong.Parse(devices.Store.Read(devices.Home + "/memory/target")!, CultureInfo.InvariantCulture);
        ulong machine = (ulong)domain.Hypervisor.Machine.FrameCount * PageKib;
        if (kib < target || kib + SlackKib > machine)
        {
            throw new ControlException(ControlError.Refused, kib < target
                ? $"{kib} KiB is less than what the guest is to have now, {target} KiB (dbt mem-set)"
                : $"{kib} KiB is more than the machine has, {machine} KiB");
        }

        _maximumKib = kib;
        domain.Memory.MaxPages = (uint)((kib + SlackKib) / PageKib);
        devices.Store.Write(devices.Home + "/memory/static-max", kib.ToString(CultureInfo.InvariantCulture));
        return true;
    });

    /// <summary>How many processors are to be online.</summary>
    public void SetVcpus(uint count) => Change((domain, devices) =>
    {
        if (count == 0 || count > domain.Vcpus.Count)
        {
            throw new ControlException(ControlError.Invalid, $"{count} processors are outside 1 to {domain.Vcpus.Count} (maxvcpus in its configuration)");
        }

        devices.SetOnlineProcessors((int)count);
        return true;
    });

    /// <summary>Changes its share of the host's processors, now and for its lives that follow.</summary>
    /// <param name="weight">Null to leave it.</param>
    /// <param name="cap">Null to leave it.</param>
    public void SetCpuShare(uint? weight, uint? cap) => Change((domain, _) =>
    {
        uint mostCap = (uint)(domain.Vcpus.Count * CpuShare.MostCapPerProcessor);
        if (weight is 0 or > CpuShare.MostWeight)
        {
            throw new ControlException(ControlError.Invalid, $"Cpu weight out of range, valid values are within range from 1 to {CpuShare.MostWeight}");
        }

        if (cap > mostCap)
        {
            throw new ControlException(ControlError.Invalid, $"Cpu cap out of range, valid values are within range from 0 to {mostCap}");
        }

        (int Weight, int Cap) share = ((int)(weight ?? (uint)domain.Share.Weight), (int)(cap ?? (uint)domain.Share.Cap));
        domain.Share.Set(share.Weight, share.Cap);
        guest.Keep(share);
        return true;
    });

    /// <summary>Lists a block's translation. The guest is held, again and again, until one of its processors has the address mapped.</summary>
    public BlockListing ListBlock(uint address)
    {
        const int Looks = 100;
        for (int look = 0; look < Looks; look++)
        {
            BlockListing? listing = Change((domain, _) =>
            {
                if (domain.IsStopped)
                {
                    throw new ControlException(ControlError.Refused, $"{guest.Name} has stopped");
                }

                domain.Pause();
                try
                {
                    return domain.Vcpus.Select(vcpu => vcpu.List(address)).FirstOrDefault(found => found is not null);
                }
                finally
                {
                    domain.Resume();
                }
            });
            if (listing is not null)
            {
                return listing;
            }

            Thread.Sleep(20);
        }

        throw new ControlException(ControlError.Refused, string.Create(CultureInfo.InvariantCulture,
            $"nothing is translated at {address:x8}: in {Looks} looks no processor ran in an address space and ring that has code there which the translator takes"));
    }

    /// <summary>Gives it a disk.</summary>
    public void AttachDisk(DiskConfiguration disk) => Change((_, devices) =>
    {
        CheckNotSaving();
        devices.AttachDisk(disk);
        return true;
    });

    /// <summary>Takes a disk away.</summary>
    public void DetachDisk(string device, bool force) => Devices().DetachDisk(device, force);

    /// <summary>Its disks.</summary>
    public IReadOnlyList<DiskStatus> Disks() => With((_, devices) => devices.Disks);

    /// <summary>Gives it a network card, with the next number where the specification has none (devid=).</summary>
    /// <param name="specification">As an element of vif=.</param>
    public void AttachNetwork(string specification) => Change((domain, devices) =>
    {
        CheckNotSaving();
        var element = new ConfigString(new ConfigPosition("vif", 1, 1), specification);
        NetworkConfiguration card;
        try
        {
            card = VifSpecification.Parse(new ConfigList(element.Position, [element]), guest.Name, uuid: null, domain.Log.Add)[0];
        }
        catch (ConfigException exception)
        {
            throw new ControlException(ControlError.Invalid, exception.Message);
        }

        if (!specification.Contains("devid=", StringComparison.Ordinal))
        {
            uint free = 0;
            while (devices.Networks.Any(other => other.Card.Handle == free))
            {
                free++;
            }

            card = card with { Handle = free };
        }

        devices.AttachNetwork(card);
        return true;
    });

    /// <summary>Takes a network card away.</summary>
    public void DetachNetwork(string device, bool force) => Devices().DetachNetwork(device, force);

    /// <summary>Its network cards.</summary>
    public IReadOnlyList<NetworkStatus> Networks() => With((_, devices) => devices.Networks);

    private static string Letter(ShutdownReason reason) => reason switch
    {
        ShutdownReason.Poweroff => "p",
        ShutdownReason.Reboot => "r",
        ShutdownReason.Suspend => "s",
        ShutdownReason.Crash => "c",
        ShutdownReason.Watchdog => "w",
        _ => "S",
    };

    // Not under the lock: it waits for the guest, which may be long.
    private DeviceHost Devices() => Change((_, devices) =>
    {
        CheckNotSaving();
        return devices;
    });

    private void CheckNotSaving()
    {
        if (_saving)
        {
            throw new ControlException(ControlError.Unavailable, $"{guest.Name} is just being saved or dumped");
        }
    }

    private T With<T>(Func<Domain, DeviceHost, T> action)
    {
        lock (_lock)
        {
            if (_domain is null || _devices is null)
            {
                throw new ControlException(ControlError.Unavailable, $"{guest.Name} is starting or ending just now");
            }

            try
            {
                return action(_domain, _devices);
            }
            catch (HostException exception)
            {
                throw new ControlException(ControlError.Refused, exception.Message);
            }
        }
    }
}
