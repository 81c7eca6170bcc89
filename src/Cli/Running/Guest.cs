using System.Globalization;
using Dbt.Cli.Config;
using Dbt.Cli.Consoles;
using Dbt.Cli.Control;
using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Builder;
using Dbt.Xen.Diagnostics;
using Dbt.Xen.Snapshot;

namespace Dbt.Cli.Running;

/// <summary>
/// A guest from start to end over all its lives: each is a domain, and its configuration says what follows when one stops. In the foreground and
/// in the daemon alike.
/// </summary>
internal sealed partial class Guest
{
    private readonly GuestHost _host;
    private readonly GuestOptions _options;
    private readonly TextWriter _errors;
    private readonly Action<string> _log;
    private readonly TaskCompletionSource<(int Status, string? Message)> _leave = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SharedCode.Lease? _code;
    private readonly RestartDelay _delay = new();
    private GuestLife? _first;
    private bool _crashed;

    /// <summary>Makes a guest's first domain, which doesn't run yet.</summary>
    /// <param name="host">Where it lives.</param>
    /// <param name="config">What it is.</param>
    /// <param name="options">How it is run.</param>
    /// <param name="image">What it is made from.</param>
    /// <param name="console">Its console.</param>
    /// <param name="errors">Where what we have to say goes.</param>
    /// <param name="log">Where its log goes besides.</param>
    /// <exception cref="DomainBuildException">The machine has no memory for it.</exception>
    /// <exception cref="ControlException">Another guest has its name or its UUID.</exception>
    public Guest(GuestHost host, GuestConfig config, GuestOptions options, GuestImage image, GuestConsole console, TextWriter errors, Action<string> log)
        : this(host, config, options, config.Name, config.Uuid ?? Guid.NewGuid(), console, errors, log)
    {
        HostMemoryCheck.Require(Name, config.MemoryMiB);
        host.Add(this);
        try
        {
            KernelDigest = image.KernelDigest.GetAwaiter().GetResult();
            _code = JoinCode();
            _first = Build(image);
            _code.Wait();
        }
        catch
        {
            _code?.Dispose();
            host.Remove(this);
            throw;
        }
    }

    /// <summary>Makes a guest of a saved one, which doesn't run yet.</summary>
    /// <param name="host">Where it lives.</param>
    /// <param name="config">What it is.</param>
    /// <param name="options">How it is run.</param>
    /// <param name="saved">The saved one.</param>
    /// <param name="console">Its console.</param>
    /// <param name="errors">Where what we have to say goes.</param>
    /// <param name="log">Where its log goes besides.</param>
    /// <exception cref="SnapshotException">What was saved is not good.</exception>
    /// <exception cref="ControlException">Another guest has its name or its UUID.</exception>
    public Guest(GuestHost host, GuestConfig config, GuestOptions options, SavedGuest saved, GuestConsole console, TextWriter errors, Action<string> log)
        : this(host, config, options, saved.Name, saved.Uuid, console, errors, log)
    {
        host.Add(this);
        try
        {
            KernelDigest = saved.KernelDigest;
            _code = JoinCode();
            _first = GuestLife.Restore(host.Machine, saved, config, options, _code.Store, log);
            _code.Wait();
        }
        catch
        {
            _code?.Dispose();
            host.Remove(this);
            throw;
        }
    }

    // One that comes from elsewhere: it goes by another name until it is there.
    private Guest(GuestHost host, GuestConfig config, GuestOptions options, GuestImage image, DomainHeader header, GuestConsole console, TextWriter errors)
        : this(host, config, options, header.Name + Incoming, header.Uuid, console, errors, static _ => { })
    {
        host.Add(this);
        KernelDigest = image.KernelDigest.GetAwaiter().GetResult();
        _code = JoinCode();
    }

    // A domain that is kept after its end.
    private Guest(Guest other, string name, GuestLife life)
        : this(other._host, other.Config with { Networks = [], Disks = [] }, other._options, name, Guid.NewGuid(), other.Console.Copy(), other._errors, other._log) => _first = life;

    private Guest(GuestHost host, GuestConfig config, GuestOptions options, string name, Guid uuid, GuestConsole console, TextWriter errors, Action<string> log)
    {
        _host = host;
        Config = config;
        _options = options;
        Name = name;
        Uuid = uuid;
        Console = console;
        _errors = errors;
        _log = log;
        Control = new ControlledGuest(this, host);
    }

    /// <summary>Its name, which can be changed.</summary>
    public string Name { get; set; }

    /// <summary>Its UUID, the same over its lives.</summary>
    public Guid Uuid { get; }

    /// <summary>What it was made from.</summary>
    public GuestConfig Config { get; private set; }

    /// <summary>Changes its weight and cap for the lives that follow.</summary>
    public void Keep((int Weight, int Cap) share) => Config = Config with { CpuShare = share };

    /// <summary>How it is run.</summary>
    public GuestOptions Options => _options;

    /// <summary>Its console.</summary>
    public GuestConsole Console { get; }

    /// <summary>The SHA-256 of its kernel's file.</summary>
    public byte[] KernelDigest { get; } = [];

    /// <summary>The request by which it was made; of a guest that was made otherwise (dbt run, a migration) one that makes the same.</summary>
    public Api.CreateRequest Origin
    {
        get => field ?? new Api.CreateRequest
        {
            Configuration = Config.Origin.Text,
            Source = Config.Origin.Path ?? "",
            Folder = Config.Origin.Folder,
            Engine = _options.Engine.ToString().ToLowerInvariant(),
            NoCodeCache = _options.CodeFolder is null,
        };
        init;
    }

    /// <summary>What can be asked of it.</summary>
    public ControlledGuest Control { get; }

    /// <summary>Ends it for good. Any thread; the first call counts.</summary>
    /// <param name="status">What <see cref="RunAsync"/> returns.</param>
    /// <param name="message">What is said then, as a clause with the guest as its subject.</param>
    public void Leave(int status, string? message = null) => _leave.TrySetResult((status, message));

    /// <summary>Runs it to its end.</summary>
    /// <returns>The exit status.</returns>
    /// <exception cref="ConfigException">It can't be started anew: a file can't be read.</exception>
    /// <exception cref="DomainBuildException">It can't be started anew: the machine has no memory for it.</exception>
    /// <exception cref="Runtime.HostException">A disk or a network can't be used.</exception>
    public async Task<int> RunAsync()
    {
        try
        {
            int? status = null;
            for (bool paused = _options.Paused; status is null; paused = false)
            {
                GuestLife life = _first ?? Build(GuestImage.Load(Config, _options, _host.Files));
                _first = null;
                TellCore(life.Domain);
                long begun = Environment.TickCount64;
                status = await RunOnceAsync(life, paused).ConfigureAwait(false);
                if (status is null)
                {
                    await WaitAsync(_delay.Next(TimeSpan.FromMilliseconds(Environment.TickCount64 - begun), _crashed)).ConfigureAwait(false);
                    status = _leave.Task.IsCompleted ? (await _leave.Task.ConfigureAwait(false)).Status : null;
                }
            }

            return status.Value;
        }
        finally
        {
            _first?.Dispose();
            _code?.Dispose();
            Ended();
        }
    }

    private SharedCode.Lease JoinCode()
    {
        bool compiles = _options.Engine is EngineKind.Tiered or EngineKind.Optimized && Config.KeepsCode && KernelDigest.Length != 0;
        string title = Config.KernelPath is string kernel ? Path.GetFullPath(kernel) : EmbeddedGuest.Name;
        return _host.Code.Join(compiles ? _options.CodeFolder : null, KernelDigest, title, _log);
    }

    private async Task WaitAsync(TimeSpan delay)
    {
        if (delay > TimeSpan.Zero)
        {
            _errors.WriteLine($"dbt: {Name} crashes again and again; it is started again in {delay.TotalSeconds:F0} s");
            await Task.WhenAny(Task.Delay(delay), _leave.Task).ConfigureAwait(false);
        }
    }

    private GuestLife Build(GuestImage image) => GuestLife.Build(_host.Machine, Name, Uuid, Config, _options, image, _code!.Store, _log);

    /// <summary>From start to stop, once.</summary>
    /// <returns>The exit status; null to start the guest anew.</returns>
    private async Task<int?> RunOnceAsync(GuestLife life, bool paused)
    {
        GuestLife? kept = null;
        try
        {
            Domain domain = life.Domain;
            if (!life.HasDevices)
            {
                life.Start(Config, Console, _host.Store, paused);
            }

            Control.Attach(life, paused);
            HangWatch? watch = HangWatch.Start(domain, life.Devices, _options.HangAfter, _options.HangAdvice, _errors);
            await Task.WhenAny(domain.Stopped, _leave.Task).ConfigureAwait(false);
            if (watch is not null)
            {
                await watch.DisposeAsync().ConfigureAwait(false);
            }

            bool stopped = domain.IsStopped && !_leave.Task.IsCompleted;
            (ShutdownAction action, int status) = stopped ? Conclude(domain, domain.Stopped.Result) : (ShutdownAction.Destroy, ExitStatus.Failure);
            if (action is ShutdownAction.Preserve)
            {
                await PreserveAsync().ConfigureAwait(false);
            }
            else if (action is ShutdownAction.CoredumpDestroy or ShutdownAction.CoredumpRestart)
            {
                await DumpAsync(life).ConfigureAwait(false);
            }

            Control.Detach();
            if (HasDeparted)
            {
                await life.RestAsync().ConfigureAwait(false);
            }

            life.Stop();
            if (action is ShutdownAction.RenameRestart)
            {
                kept = life;
                Keep(life);
            }

            if (_options.StatisticsPath is string path)
            {
                StatisticsFile.Write(path, domain);
            }

            if (_leave.Task.IsCompleted)
            {
                return Left(domain, await _leave.Task.ConfigureAwait(false), action is ShutdownAction.Preserve ? status : null);
            }

            return IsRestart(action) ? null : status;
        }
        finally
        {
            if (kept is null)
            {
                life.Dispose();
            }
        }
    }

    private int Left(Domain domain, (int Status, string? Message) left, int? ended)
    {
        if (left.Message is string clause)
        {
            string message = $"{Name} {clause}";
            _errors.WriteLine($"dbt: {message}");
            if (_options.Verbose)
            {
                // A guest that hangs is told by where it is.
                foreach (Vcpu vcpu in domain.Vcpus)
                {
                    _errors.WriteLine(CrashReport.Capture(domain, vcpu, message).Text.TrimEnd());
                }
            }
        }

        return ended ?? left.Status;
    }

    private async Task PreserveAsync()
    {
        _errors.WriteLine($"dbt: {Name} is kept as it is (preserve) until it is destroyed");
        Control.Keep();
        await _leave.Task.ConfigureAwait(false);
    }

    /// <summary>Its domain stays as a guest of its own, under another name; what the guest needs to start anew is taken from it.</summary>
    private void Keep(GuestLife life)
    {
        string name = _host.FreeName(string.Create(CultureInfo.InvariantCulture, $"{Name}-{DateTime.UtcNow:yyyyMMdd'T'HHmm'Z'}"));
        var kept = new Guest(this, name, life);
        life.Preserve(name, kept.Uuid);
        _host.Add(kept);
        _errors.WriteLine($"dbt: {Name} stopped and is kept as {name}");
        _ = kept.StayAsync(life);
    }

    private async Task StayAsync(GuestLife life)
    {
        _first = null;
        Control.Attach(life, paused: false);
        await _leave.Task.ConfigureAwait(false);
        Control.Detach();
        life.Dispose();
        Ended();
    }

    private void Ended()
    {
        _host.Remove(this);
        Console.End();
        Control.End();
    }

    private (ShutdownAction Action, int Status) Conclude(Domain domain, ShutdownReason reason)
    {
        (ShutdownAction action, int status) = reason switch
        {
            ShutdownReason.Poweroff => (Config.Actions.Poweroff, ExitStatus.Success),
            ShutdownReason.Reboot => (Config.Actions.Reboot, ExitStatus.Success),
            ShutdownReason.Crash => (Config.Actions.Crash, ExitStatus.GuestCrash),
            ShutdownReason.Watchdog => (Config.Actions.Watchdog, ExitStatus.GuestCrash),
            _ => (ShutdownAction.Destroy, ExitStatus.Failure),
        };
        _crashed = status == ExitStatus.GuestCrash;
        switch (reason)
        {
            case ShutdownReason.Crash:
                TellCrash(domain);
                break;
            case ShutdownReason.Watchdog:
                _errors.WriteLine($"dbt: {Name} was stopped by its watchdog");
                break;
            case ShutdownReason.Suspend or ShutdownReason.SoftReset:
                _errors.WriteLine($"dbt: {Name} stopped for {(reason == ShutdownReason.Suspend ? "a suspend" : "a soft reset")}, which is not supported yet");
                break;
            case ShutdownReason.Poweroff or ShutdownReason.Reboot:
                break;
            default:
                _errors.WriteLine($"dbt: {Name} stopped for a reason that is unknown: {(int)reason}");
                break;
        }

        if (_options.Verbose && IsRestart(action))
        {
            _errors.WriteLine($"dbt: {Name} is started again");
        }

        return (action, status);
    }

    private static bool IsRestart(ShutdownAction action) => action is ShutdownAction.Restart or ShutdownAction.RenameRestart or ShutdownAction.CoredumpRestart;

    private void TellCrash(Domain domain)
    {
        CrashReport? report = domain.CrashReport;
        _errors.WriteLine($"dbt: {Name} crashed: {report?.Reason ?? "it says so itself"}");
        if (report is not null && report.Text.Length > 0)
        {
            _errors.WriteLine(report.Text.TrimEnd());
        }

        _errors.Flush();
    }
}
