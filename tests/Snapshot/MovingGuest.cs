using Dbt.Cli.Config;
using Dbt.Cli.Consoles;
using Dbt.Cli.Running;
using Dbt.Devices;
using Dbt.Devices.Snapshot;
using Dbt.Devices.Store;
using Dbt.Tests.Cli;
using Dbt.Translator;
using Dbt.Translator.Cache;
using Dbt.Xen;
using Dbt.Xen.Builder;
using Dbt.Xen.Snapshot;

namespace Dbt.Tests.Snapshot;

/// <summary>Our own guest, or another one, that is saved to memory and goes on in another hypervisor, as often as a test likes.</summary>
internal sealed class MovingGuest : IDisposable
{
    private readonly GuestConfig _config;
    private readonly GuestConsole _console;
    private readonly CodeStore _code = new();
    private Hypervisor _machine = new();
    private XenStore _store = new();
    private Stream _input;
    private DeviceHost _devices;

    public MovingGuest(GuestConfig config, EngineKind engine)
    {
        _config = config;
        _console = new GuestConsole(Transcript);
        var image = GuestImage.Load(config, new GuestOptions(), new GuestFileCache());
        Domain = _machine.CreateDomain(config.Name, Engine(engine));
        DomainBuilder.Build(Domain, image.Plan);
        _input = _console.Input.OpenReader();
        _devices = DeviceHost.Attach(Domain, Devices());
        Domain.Vcpus[0].Start();
    }

    /// <summary>What it said so far.</summary>
    public ConsoleTranscript Transcript { get; } = new();

    /// <summary>Where it is now.</summary>
    public Domain Domain { get; private set; }

    /// <summary>Its devices now.</summary>
    public DeviceHost Host => _devices;

    /// <summary>The store now.</summary>
    public XenStore Store => _store;

    /// <summary>Other domains that are there before it comes.</summary>
    public int Others { get; set; }

    /// <summary>What becomes of the list of code that it runs before it is used where the guest goes; null for nothing.</summary>
    public Func<byte[], byte[]>? CodeList { get; set; }

    /// <summary>Code of the first processor that was ready before the guest ran where it went last: blocks decoded, regions taken over.</summary>
    public (long Blocks, long Regions) Ready { get; private set; }

    /// <summary>Types at its console.</summary>
    public void Type(string text) => _console.Input.Add(System.Text.Encoding.ASCII.GetBytes(text));

    /// <summary>Waits until its prompt is the last that it said, so many times in all.</summary>
    public void AwaitPrompt(int count) => Await(() => Transcript.Text.Split("dbt> ").Length > count);

    /// <summary>Waits until it has powered itself off.</summary>
    public void AwaitPoweroff()
    {
        Await(() => Domain.IsStopped);
        Assert.Equal(ShutdownReason.Poweroff, Domain.Stopped.Result);
    }

    /// <summary>Waits for something.</summary>
    public void Await(Func<bool> condition) =>
        Assert.True(SpinWait.SpinUntil(condition, TimeSpan.FromMinutes(2)), $"{Domain.CrashReport?.Text}\n{Transcript.Text}");

    /// <summary>Saves it as it is. It goes on.</summary>
    public byte[] Save(ImageKind kind = ImageKind.Live)
    {
        if (kind == ImageKind.Suspended)
        {
            Suspend();
        }

        Domain.Pause();
        _devices.Hold();
        try
        {
            using var file = new MemoryStream();
            SnapshotWriter.Write(file, Domain, _devices, kind, [], null, CancellationToken.None);
            return file.ToArray();
        }
        finally
        {
            _devices.Release();
            Domain.Resume();
            if (kind == ImageKind.Suspended)
            {
                Domain.EndSuspend();
            }
        }
    }

    /// <summary>Has it suspend itself, ends it here, and has it go on in a hypervisor of its own, in other machine frames.</summary>
    /// <param name="engine">Which engine it has there.</param>
    /// <param name="taken">So many frames are another's there.</param>
    public void MoveSuspended(EngineKind engine, int taken)
    {
        Suspend();
        Domain.Pause();
        _devices.Hold();
        using var file = new MemoryStream();
        SnapshotWriter.Write(file, Domain, _devices, ImageKind.Suspended, [], null, CancellationToken.None);
        End();
        (_machine, _store) = (new Hypervisor(), new XenStore());
        Domain other = _machine.CreateDomain("other", Engine(engine));
        other.Memory.MaxPages = (uint)taken;
        for (int i = 0; i < taken; i++)
        {
            Assert.True(other.Memory.TryAddPage(out _));
        }

        file.Position = 0;
        using var reader = new SnapshotReader(file);
        using var restorer = new DomainRestorer(_machine, reader.Header, Engine(engine), reader.Header.Name, reader.Header.Uuid);
        StateReader state = reader.Read(restorer, null, CancellationToken.None);
        restorer.Finish(state);
        Domain = restorer.Domain;
        _input = _console.Input.OpenReader();
        _ = DeviceHost.ReadDevices(state);
        _devices = DeviceHost.Attach(Domain, Devices());
        state.End();
        _devices.Release();
        Domain.Resume();
    }

    /// <summary>Has it suspend itself, as the tools do.</summary>
    private void Suspend()
    {
        Task suspended = Domain.AwaitSuspend();
        _devices.RequestShutdown("suspend");
        Await(() => suspended.IsCompleted);
        Assert.Equal("", _store.Read(_devices.Home + "/control/shutdown"));
    }

    /// <summary>Saves it, ends it here, and has it go on in a hypervisor of its own.</summary>
    /// <param name="engine">Which engine it has there.</param>
    /// <returns>False where it can't be saved just now, with what it does.</returns>
    public bool Move(EngineKind engine)
    {
        byte[] saved;
        var list = new SectionWriter();
        HotCodeList.Capture(Domain, list);
        Domain.Pause();
        _devices.Hold();
        try
        {
            using var file = new MemoryStream();
            SnapshotWriter.Write(file, Domain, _devices, ImageKind.Live, [], null, CancellationToken.None);
            saved = file.ToArray();
        }
        catch (SnapshotException)
        {
            _devices.Release();
            Domain.Resume();
            return false;
        }

        bool stopped = Domain.IsStopped;
        if (stopped)
        {
            _devices.Release();
            Domain.Resume();
            return false;
        }

        End();
        (_machine, _store) = (new Hypervisor(), new XenStore());
        for (int i = 0; i < Others; i++)
        {
            _ = _machine.CreateDomain($"other{i}", Engine(engine));
        }

        using var reader = new SnapshotReader(new MemoryStream(saved));
        using var restorer = new DomainRestorer(_machine, reader.Header, Engine(engine), reader.Header.Name, reader.Header.Uuid);
        StateReader state = reader.Read(restorer, null, CancellationToken.None);
        Prepare(restorer.Domain, list.Written.ToArray());
        restorer.Finish(state);
        Domain = restorer.Domain;
        _input = _console.Input.OpenReader();
        _devices = DeviceHost.Restore(Domain, Devices(), state);
        state.End();
        _devices.Release();
        Domain.Resume();
        return true;
    }

    /// <inheritdoc/>
    public void Dispose() => End();

    private void Prepare(Domain domain, byte[] list)
    {
        if (CodeList is null)
        {
            return;
        }

        try
        {
            Assert.True(HotCodeList.Apply(domain, new SectionReader(SectionType.HotCode, 0, CodeList(list))).Wait(TimeSpan.FromMinutes(1)), "code isn't made ready");
        }
        catch (SnapshotException)
        {
            // What a test made of the list is none.
        }

        Ready = domain.Vcpus[0].EngineStatistics is { } ready ? (ready.BlocksDecoded, ready.RegionsTakenOver) : default;
    }

    private EngineOptions Engine(EngineKind kind) => new() { Kind = kind, Store = _code };

    private DeviceConfiguration Devices() => new()
    {
        ConsoleInput = _input,
        ConsoleOutput = _console,
        Disks = _config.Disks,
        Networks = _config.Networks,
        Store = _store,
    };

    private void End()
    {
        Domain.Shutdown(ShutdownReason.Poweroff);
        Domain.Vcpus.ForEach(static vcpu => vcpu.Stop());
        _input.Dispose();
        _devices.Dispose();
        Domain.Dispose();
        _machine.Dispose();
    }
}
