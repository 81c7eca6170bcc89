using Dbt.Cli.Config;
using Dbt.Cli.Control;
using Dbt.Cli.Profile;
using Dbt.Cli.Terminal;
using Dbt.Devices;
using Dbt.Translator;
using Dbt.Translator.Cache;
using Dbt.Xen;
using Dbt.Xen.Builder;
using Dbt.Xen.Diagnostics;
using Dbt.Xen.Processor;

namespace Dbt.Cli.Running;

/// <summary>Runs one guest in the foreground, restarting it as its configuration says, and tells what it came to.</summary>
internal sealed class GuestRunner : IDisposable
{
    private readonly GuestConfig _config;
    private readonly RunOptions _options;
    private readonly DomainPlan _plan;
    private readonly Lazy<SymbolTable?> _symbols;
    private readonly TextWriter _errors;
    private readonly Stream _output;
    private readonly Func<Action, InputPump> _openInput;
    private readonly TextWriter? _log;
    private readonly ControlledGuest _controlled;
    private readonly CodeKeeper? _code;
    private readonly CodeStore _ownStore = new();
    private readonly TaskCompletionSource<int> _leave = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="config">The guest.</param>
    /// <param name="options">How to run it.</param>
    /// <param name="output">Where its console goes.</param>
    /// <param name="errors">Where what we have to say goes.</param>
    /// <param name="openInput">Starts reading input; the argument is called when the user leaves.</param>
    /// <exception cref="ConfigException">A file that the configuration names can't be read, or the log can't be written.</exception>
    /// <exception cref="DomainBuildException">The guest can't be built.</exception>
    public GuestRunner(GuestConfig config, RunOptions options, Stream output, TextWriter errors, Func<Action, InputPump> openInput)
    {
        _config = config;
        _options = options;
        _output = output;
        _errors = errors;
        _openInput = openInput;
        _controlled = new ControlledGuest(config.Name, () => Leave(ExitStatus.Failure));
        byte[] image = config.KernelPath is string kernel ? ReadFile(kernel) : EmbeddedGuest.Load();
        _plan = DomainBuilder.Prepare(new BuildRequest
        {
            Kernel = image,
            KernelName = config.KernelPath ?? EmbeddedGuest.Name,
            Ramdisk = config.RamdiskPath is string ramdisk ? ReadFile(ramdisk) : null,
            CommandLine = options.TerminalSize?.AddTo(config.CommandLine) ?? config.CommandLine,
            Type = config.Type,
            MemoryMiB = config.MemoryMiB,
            MaxMemoryMiB = config.MaxMemoryMiB,
            Vcpus = config.Vcpus,
        });
        _symbols = GuestSymbols.Of(config, options.SystemMapPath);
        GuestFacts.Tell(config, options.SystemMapPath);
        _log = options.LogPath is null ? null : OpenLog(options.LogPath);
        bool compiles = options.Engine is EngineKind.Tiered or EngineKind.Optimized && !options.DryRun;
        _code = compiles && config.KeepsCode && options.CodeFolder is { } folder
            ? CodeKeeper.Open(folder, image, config.KernelPath is string file ? Path.GetFullPath(file) : EmbeddedGuest.Name, WriteLog)
            : null;
    }

    /// <summary>Ends the run from outside, with an exit status. Any thread.</summary>
    public void Leave(int status) => _leave.TrySetResult(status);

    /// <summary>Runs the guest to its end.</summary>
    /// <returns>The exit status.</returns>
    /// <exception cref="DomainBuildException">The machine has no memory for it.</exception>
    public async Task<int> RunAsync()
    {
        using var timer = new CancellationTokenSource();
        Task timeout = _options.Timeout is TimeSpan limit ? Task.Delay(limit, timer.Token) : Task.Delay(Timeout.Infinite, timer.Token);
        InputPump? input = null;
        ControlServer? control = StartControl();
        try
        {
            while (true)
            {
                using var machine = new Hypervisor();
                Domain domain = machine.CreateDomain(_config.Name, Engine(), _config.Uuid);
                domain.Symbols = _symbols;
                domain.TickSlack = _config.TickSlack * 1_000_000L;
                domain.Log.LineAdded += WriteLog;
                foreach (CpuidChange change in _config.Cpuid)
                {
                    domain.Cpuid.Apply(change);
                }

                DomainBuilder.Build(domain, _plan);
                input ??= StartInput();
                int? status = await RunOnceAsync(domain, input, timeout).ConfigureAwait(false);
                if (status is int ended)
                {
                    return ended;
                }
            }
        }
        finally
        {
            await timer.CancelAsync().ConfigureAwait(false);
            if (control is not null)
            {
                await control.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _code?.Dispose();
        _log?.Dispose();
    }

    private EngineOptions Engine() => new()
    {
        Kind = _options.Engine,
        PortableFloatingPoint = _options.PortableFloatingPoint,
        Store = _code?.Store ?? _ownStore,
    };

    private ControlServer? StartControl()
    {
        try
        {
            return _options.ControlPath is string path ? ControlServer.Start(_controlled, ControlFolder.Open(path), line => _errors.WriteLine($"dbt: {_config.Name}: {line}")) : null;
        }
        catch (IOException exception)
        {
            _errors.WriteLine($"dbt: warning: {_config.Name} can't be reached by dbt list and the like: {exception.Message}");
            return null;
        }
    }

    private InputPump StartInput()
    {
        InputPump pump = _openInput(() => Leave(ExitStatus.Failure));
        pump.Start();
        return pump;
    }

    /// <summary>From start to stop, once.</summary>
    /// <returns>The exit status; null to start the guest anew.</returns>
    private async Task<int?> RunOnceAsync(Domain domain, InputPump input, Task timeout)
    {
        using Stream reader = input.OpenReader();
        var devices = new DeviceConfiguration { ConsoleInput = reader, PaceInput = !input.IsTyped, ConsoleOutput = _output, Disks = _config.Disks, Networks = _config.Networks };
        Task first;
        using (DeviceHost host = DeviceHost.Attach(domain, devices))
        {
            if (_config.OnlineVcpus is int online)
            {
                host.SetOnlineProcessors(online);
            }

            domain.Vcpus[0].Start();
            _controlled.Attach(domain, host);
            HangWatch? watch = HangWatch.Start(domain, host, _options.HangAfter, _errors);
            first = await Task.WhenAny(domain.Stopped, timeout, _leave.Task).ConfigureAwait(false);
            if (watch is not null)
            {
                await watch.DisposeAsync().ConfigureAwait(false);
            }

            _controlled.Detach();
            if (first != domain.Stopped)
            {
                domain.Shutdown(ShutdownReason.Poweroff);
            }

            foreach (Vcpu vcpu in domain.Vcpus)
            {
                vcpu.Stop();
            }

            // What the guest wrote last is still in its ring; disposing the devices brings it out.
            reader.Dispose();
        }

        if (_options.StatisticsPath is string path)
        {
            StatisticsFile.Write(path, domain);
        }

        if (first == _leave.Task)
        {
            return await _leave.Task.ConfigureAwait(false);
        }

        if (first == timeout)
        {
            string message = $"{_config.Name} did not end within {_options.Timeout!.Value.TotalSeconds:0.###} s";
            _errors.WriteLine($"dbt: {message}");
            if (_options.Verbose)
            {
                // A guest that hangs is told by where it is.
                foreach (Vcpu vcpu in domain.Vcpus)
                {
                    _errors.WriteLine(CrashReport.Capture(domain, vcpu, message).Text.TrimEnd());
                }
            }

            return ExitStatus.Timeout;
        }

        return Conclude(domain, await domain.Stopped.ConfigureAwait(false));
    }

    private int? Conclude(Domain domain, ShutdownReason reason)
    {
        (ShutdownAction action, int status) = reason switch
        {
            ShutdownReason.Poweroff => (_config.Actions.Poweroff, ExitStatus.Success),
            ShutdownReason.Reboot => (_config.Actions.Reboot, ExitStatus.Success),
            ShutdownReason.Crash => (_config.Actions.Crash, ExitStatus.GuestCrash),
            ShutdownReason.Watchdog => (_config.Actions.Watchdog, ExitStatus.GuestCrash),
            _ => (ShutdownAction.Destroy, ExitStatus.Failure),
        };
        switch (reason)
        {
            case ShutdownReason.Crash:
                TellCrash(domain);
                break;
            case ShutdownReason.Watchdog:
                _errors.WriteLine($"dbt: {_config.Name} was stopped by its watchdog");
                break;
            case ShutdownReason.Suspend or ShutdownReason.SoftReset:
                _errors.WriteLine($"dbt: {_config.Name} stopped for {(reason == ShutdownReason.Suspend ? "a suspend" : "a soft reset")}, which is not supported yet");
                break;
            case ShutdownReason.Poweroff or ShutdownReason.Reboot:
                break;
            default:
                _errors.WriteLine($"dbt: {_config.Name} stopped for a reason that is unknown: {(int)reason}");
                break;
        }

        bool restart = action is ShutdownAction.Restart or ShutdownAction.RenameRestart or ShutdownAction.CoredumpRestart;
        if (restart && _options.Verbose)
        {
            _errors.WriteLine($"dbt: {_config.Name} is started again");
        }

        return restart ? null : status;
    }

    private void TellCrash(Domain domain)
    {
        CrashReport? report = domain.CrashReport;
        _errors.WriteLine($"dbt: {_config.Name} crashed: {report?.Reason ?? "it says so itself"}");
        if (report is not null && report.Text.Length > 0)
        {
            _errors.WriteLine(report.Text.TrimEnd());
        }

        _errors.Flush();
    }

    private void WriteLog(string line)
    {
        if (_log is not null)
        {
            lock (_log)
            {
                _log.WriteLine(line);
            }
        }

        if (_options.Verbose)
        {
            _errors.WriteLine($"dbt: {_config.Name}: {line}");
        }
    }

    private static byte[] ReadFile(string path)
    {
        try
        {
            return new FileInfo(path).Length <= Array.MaxLength ? File.ReadAllBytes(path) : throw new ConfigException($"{path}: too large");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ConfigException($"{path}: can't be read: {exception.Message}");
        }
    }

    private static StreamWriter OpenLog(string path)
    {
        try
        {
            return new StreamWriter(path) { AutoFlush = true };
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ConfigException($"{path}: can't be written: {exception.Message}");
        }
    }
}
