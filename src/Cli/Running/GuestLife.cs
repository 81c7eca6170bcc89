using Dbt.Cli.Config;
using Dbt.Cli.Consoles;
using Dbt.Devices;
using Dbt.Translator;
using Dbt.Translator.Cache;
using Dbt.Xen;
using Dbt.Xen.Builder;
using Dbt.Xen.Processor;
using Dbt.Xen.Snapshot;

namespace Dbt.Cli.Running;

/// <summary>One domain of a guest from its making to its end: it gets another when it restarts.</summary>
internal sealed class GuestLife : IDisposable
{
    private readonly SavedGuest? _saved;
    private Stream? _input;
    private DeviceHost? _devices;

    private GuestLife(Domain domain, SavedGuest? saved = null)
    {
        Domain = domain;
        _saved = saved;
    }

    /// <summary>The domain.</summary>
    public Domain Domain { get; }

    /// <summary>Its devices; only after <see cref="Start"/>.</summary>
    public DeviceHost Devices => _devices!;

    /// <summary>Whether it has its devices: it was started, or came with them.</summary>
    public bool HasDevices => _devices is not null;

    /// <summary>Takes over a domain that came from elsewhere, paused, with its devices, held; fresh ones where it suspended itself.</summary>
    /// <exception cref="SnapshotException">What is said of the devices is not good.</exception>
    /// <exception cref="Runtime.HostException">A disk or a network can't be used.</exception>
    public static GuestLife Adopt(Domain domain, GuestConfig config, GuestConsole console, Devices.Store.XenStore store, StateReader state, ImageKind kind)
    {
        var life = new GuestLife(domain) { _input = console.Input.OpenReader() };
        try
        {
            var configuration = new DeviceConfiguration
            {
                ConsoleInput = life._input,
                PaceInput = console.IsPaced,
                ConsoleOutput = console,
                Disks = config.Disks,
                DisksLockLater = true,
                Networks = config.Networks,
                Store = store,
                ParseNetwork = specification => VifSpecification.ParseOne(specification, config.Name),
            };
            life._devices = kind == ImageKind.Live
                ? DeviceHost.Restore(domain, configuration, state)
                : FreshDevices.Attach(domain, configuration, state, sameAddresses: true);
            return life;
        }
        catch
        {
            life._input.Dispose();
            throw;
        }
    }

    /// <summary>What came from elsewhere goes on.</summary>
    /// <param name="heldFor">How long it was held: its clock goes on by that.</param>
    /// <param name="paused">It stays held, and its clock with it.</param>
    public void GoOn(TimeSpan heldFor, bool paused)
    {
        const int nanosecondsPerTick = 100;
        if (!paused)
        {
            Domain.Clock.SetPaused(Domain.Clock.Now + (heldFor.Ticks * nanosecondsPerTick));
        }

        Devices.Release();
        if (!paused)
        {
            Domain.Resume();
        }

        Devices.AnnounceNetworks();
    }

    /// <summary>Builds the domain.</summary>
    /// <exception cref="DomainBuildException">The machine has no memory for it.</exception>
    public static GuestLife Build(Hypervisor machine, string name, Guid uuid, GuestConfig config, GuestOptions options, GuestImage image, CodeStore code, Action<string> log)
    {
        Domain domain = machine.CreateDomain(name, Engine(options, code), uuid);
        try
        {
            Describe(domain, config, image.Symbols, log);
            Limit(domain, config);
            foreach (CpuidChange change in config.Cpuid)
            {
                domain.Cpuid.Apply(change);
            }

            DomainBuilder.Build(domain, image.Plan);
            return new GuestLife(domain);
        }
        catch
        {
            domain.Dispose();
            throw;
        }
    }

    /// <summary>Makes the domain of a saved one.</summary>
    /// <exception cref="SnapshotException">It is not good.</exception>
    public static GuestLife Restore(Hypervisor machine, SavedGuest saved, GuestConfig config, GuestOptions options, CodeStore code, Action<string> log)
    {
        Domain domain = saved.Build(machine, Engine(options, code));
        Describe(domain, config, GuestSymbols.Of(config, options.SystemMapPath), log);
        Limit(domain, config);
        domain.Log.Add($"{(saved.HasOverlays ? "cloned" : "restored")} from {saved.Source}");
        return new GuestLife(domain, saved);
    }

    private static void Limit(Domain domain, GuestConfig config)
    {
        domain.Events.HighestPort = config.MaxEventChannels;
        (domain.Grants.HighestFrames, domain.Grants.HighestMapFrames, domain.Grants.HighestVersion) = config.GrantLimits;
    }

    /// <summary>How its code is executed.</summary>
    public static EngineOptions Engine(GuestOptions options, CodeStore code) =>
        new() { Kind = options.Engine, PortableFloatingPoint = options.PortableFloatingPoint, Windows = WindowSetting.Current, Store = code };

    /// <summary>Tells a domain what isn't the guest's business.</summary>
    public static void Describe(Domain domain, GuestConfig config, Lazy<Xen.Diagnostics.SymbolTable?> symbols, Action<string> log)
    {
        domain.Symbols = symbols;
        domain.Share.Set(config.CpuShare.Weight, config.CpuShare.Cap);
        domain.TickSlack = config.TickSlack * 1_000_000L;
        domain.Log.LineAdded += log;
    }

    /// <summary>Attaches its devices and lets it run.</summary>
    /// <exception cref="Runtime.HostException">A disk or a network can't be used.</exception>
    /// <exception cref="Xen.Snapshot.SnapshotException">What was saved of its devices is not good.</exception>
    public void Start(GuestConfig config, GuestConsole console, Devices.Store.XenStore store, bool paused)
    {
        _input = console.Input.OpenReader();
        var configuration = new DeviceConfiguration
        {
            ConsoleInput = _input,
            PaceInput = console.IsPaced,
            ConsoleOutput = console,
            Disks = config.Disks,
            Networks = config.Networks,
            Store = store,
            DisksOverlaid = _saved?.HasOverlays ?? false,
            ParseNetwork = specification => VifSpecification.ParseOne(specification, config.Name),
        };
        if (_saved is not null)
        {
            _devices = _saved.AttachDevices(Domain, configuration);
            _devices.Release();
            if (!paused)
            {
                Domain.Resume();
            }

            return;
        }

        _devices = DeviceHost.Attach(Domain, configuration);
        if (config.OnlineVcpus is int online)
        {
            _devices.SetOnlineProcessors(online);
        }

        if (paused)
        {
            Domain.Pause();
        }

        Domain.Vcpus[0].Start();
    }

    /// <summary>
    /// Its guest runs elsewhere, and is held here for good: others may have its disks and cards at once; giving its memory back takes the host's processors and can wait until the guest,
    /// which may be on this host still, has made up for what it missed.
    /// </summary>
    public Task RestAsync()
    {
        _devices?.Dispose();
        _devices = null;
        return Task.Delay(TimeSpan.FromSeconds(1));
    }

    /// <summary>Ends it where it runs still, and waits for its processors.</summary>
    public void Stop()
    {
        Domain.Shutdown(ShutdownReason.Poweroff);
        foreach (Vcpu vcpu in Domain.Vcpus)
        {
            vcpu.Stop();
        }
    }

    /// <summary>It has stopped and stays, while another takes its name, and what it used of the host and of its console.</summary>
    public void Preserve(string name, Guid uuid)
    {
        _input?.Dispose();
        Devices.Preserve(name, uuid);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // What the guest wrote last is still in its ring; disposing the devices brings it out.
        Stop();
        _input?.Dispose();
        _devices?.Dispose();
        Domain.Dispose();
    }
}
