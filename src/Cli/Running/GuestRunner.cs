using Dbt.Cli.Config;
using Dbt.Cli.Consoles;
using Dbt.Cli.Control;
using Dbt.Cli.Profile;
using Dbt.Cli.Terminal;
using Dbt.Translator;
using Dbt.Xen.Builder;

namespace Dbt.Cli.Running;

/// <summary>Runs one guest in the foreground, restarting it as its configuration says, and tells what it came to.</summary>
internal sealed class GuestRunner : IDisposable
{
    private readonly GuestConfig _config;
    private readonly RunOptions _options;
    private readonly GuestFileCache _files = new();
    private readonly TextWriter _errors;
    private readonly GuestConsole _console;
    private readonly Func<Action, InputPump> _openInput;
    private readonly TextWriter? _log;
    private GuestImage? _image;
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
        if (config.Actions.Any(ShutdownAction.RenameRestart) is string key)
        {
            throw new ConfigException($"{key}=\"rename-restart\" leaves two domains, and a process of dbt run has one; dbt create does it");
        }

        if (!options.DryRun)
        {
            EngineWarmUp.Begin();
        }

        _config = config;
        _options = options;
        _console = new GuestConsole(output);
        _errors = errors;
        _openInput = openInput;
        _image = GuestImage.Load(config, options, _files);
        GuestFacts.Tell(config, options.SystemMapPath);
        _log = options.LogPath is null ? null : OpenLog(options.LogPath);
    }

    /// <summary>Ends the run from outside, with an exit status. Any thread.</summary>
    public void Leave(int status) => _leave.TrySetResult(status);

    /// <summary>Runs the guest to its end.</summary>
    /// <returns>The exit status.</returns>
    /// <exception cref="DomainBuildException">The machine has no memory for it.</exception>
    public async Task<int> RunAsync()
    {
        using var host = new GuestHost { OnlyId = (uint)Environment.ProcessId, Files = _files };
        var guest = new Guest(host, _config, _options, _image!, _console, _errors, WriteLog);
        _image = null;
        ControlServer? control = StartControl(host, guest);
        InputPump input = _openInput(() => Leave(ExitStatus.Failure));
        _console.IsPaced = !input.IsTyped;
        input.Start(_console.Input);
        _ = _leave.Task.ContinueWith(left => guest.Leave(left.Result), TaskScheduler.Default);
        using var timeout = new Timer(_ => guest.Leave(ExitStatus.Timeout, $"did not end within {_options.Timeout!.Value.TotalSeconds:0.###} s"));
        if (_options.Timeout is TimeSpan limit)
        {
            timeout.Change(limit, Timeout.InfiniteTimeSpan);
        }

        try
        {
            return await guest.RunAsync().ConfigureAwait(false);
        }
        finally
        {
            if (control is not null)
            {
                await control.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _log?.Dispose();

    private ControlServer? StartControl(GuestHost host, Guest guest)
    {
        if (_options.ControlPath is not string path)
        {
            return null;
        }

        try
        {
            var folder = ControlFolder.Open(path);
            var server = ControlServer.Start(folder.SocketOf(guest.Name), new ControlServices(host, Daemon: null), line => _errors.WriteLine($"dbt: {guest.Name}: {line}"));
            guest.Control.Renamed = name => server.MoveTo(folder.SocketOf(name));
            return server;
        }
        catch (IOException exception)
        {
            _errors.WriteLine($"dbt: warning: {guest.Name} can't be reached by dbt list and the like: {exception.Message}");
            return null;
        }
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
