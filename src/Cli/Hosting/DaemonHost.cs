using System.Globalization;
using Dbt.Cli.Api;
using Dbt.Cli.Commands;
using Dbt.Cli.Config;
using Dbt.Cli.Consoles;
using Dbt.Cli.Control;
using Dbt.Cli.Guests;
using Dbt.Cli.Running;
using Dbt.Cli.Terminal;
using Dbt.Translator;

namespace Dbt.Cli.Hosting;

/// <summary>The daemon's domains: making them, and when the daemon is done. Any thread.</summary>
internal sealed partial class DaemonHost : IDisposable
{
    // What making a guest leaves behind (its kernel, unpacked) is given back to the host once nothing more has been made for a while.
    private static readonly TimeSpan TidyAfter = TimeSpan.FromSeconds(3);

    private readonly Lock _lock = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly long _started = Environment.TickCount64;
    private readonly TimeSpan _idleLimit;
    private readonly TextWriter _log;
    private readonly string _logPath;
    private readonly Timer _idle, _tidy;
    private int _busy, _running;
    private bool _ending;

    /// <param name="log">Where it says what happens.</param>
    /// <param name="logPath">What that is called.</param>
    /// <param name="idleLimit">How long it stays after its last domain has gone.</param>
    public DaemonHost(TextWriter log, string logPath, TimeSpan idleLimit)
    {
        _log = log;
        _logPath = logPath;
        _idleLimit = idleLimit;
        _idle = new Timer(_ => TryEnd(force: false));
        _tidy = new Timer(static _ => GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true));
        EngineWarmUp.Begin();
        Guests = new GuestHost { Changed = RestartIdleTime };
        RestartIdleTime();
    }

    /// <summary>What a report of a hang says of how to end the guest.</summary>
    public const string HangAdvice = "dbt destroy ends it";

    /// <summary>Whether guests get x87, MMX and SSE in C#.</summary>
    public static bool PortableFloatingPoint => Environment.GetEnvironmentVariable("DBT_PORTABLE_FLOATING_POINT") == "1";

    /// <summary>What its domains live on.</summary>
    public GuestHost Guests { get; }

    /// <summary>Completes when it is done: nothing more is made, and no domain is left.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Makes a guest and starts it.</summary>
    /// <exception cref="ControlException">The name is taken, or the daemon ends.</exception>
    /// <exception cref="ConfigException">The configuration says what can't be done.</exception>
    /// <exception cref="Xen.Builder.DomainBuildException">It can't be built.</exception>
    /// <exception cref="Runtime.HostException">A disk or a network can't be used.</exception>
    public async Task<CreateReply> CreateAsync(CreateRequest request)
    {
        Enter();
        IDisposable? held = null;
        try
        {
            if (!Path.IsPathFullyQualified(request.Folder))
            {
                throw new ControlException(ControlError.Invalid, $"folder: '{request.Folder}' is no full path");
            }

            (GuestConfig config, held) = Read(request);
            GuestOptions options = Options(request, request.Paused);
            var image = GuestImage.Load(config, options, Guests.Files);
            var guest = new Guest(Guests, config, options, image, new GuestConsole(), _log, static _ => { }) { Origin = request };
            Task run = RunAsync(guest, held);
            held = null;

            // What can't be attached shows at once.
            if (await Task.WhenAny(guest.Control.Started, run).ConfigureAwait(false) == run)
            {
                await run.ConfigureAwait(false);
            }

            _log.WriteLine(string.Create(CultureInfo.InvariantCulture, $"dbt: {guest.Name} is domain {guest.Control.Id}"));
            return new CreateReply { Id = guest.Control.Id, Name = guest.Name, Warnings = { config.Warnings } };
        }
        finally
        {
            held?.Dispose();
            Leave();
            _tidy.Change(TidyAfter, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>Makes a guest of a saved one and lets it go on.</summary>
    /// <returns>Its id and name.</returns>
    /// <exception cref="ControlException">The name is taken, or the daemon ends.</exception>
    /// <exception cref="ConfigException">The configuration says what can't be done.</exception>
    /// <exception cref="Xen.Snapshot.SnapshotException">The file is none, damaged, or doesn't fit here.</exception>
    /// <exception cref="Runtime.HostException">A disk or a network can't be used.</exception>
    public async Task<Progress> RestoreAsync(RestoreRequest request, Action<Progress> report, CancellationToken cancellation)
    {
        Enter();
        IDisposable? held = null;
        try
        {
            if (!Path.IsPathFullyQualified(request.Path))
            {
                throw new ControlException(ControlError.Invalid, $"path: '{request.Path}' is no full path");
            }

            using SavedFile saved = SavedFile.Open(
                request.Path, progress => report(new Progress { Pages = (ulong)progress.Pages, AllPages = (ulong)progress.AllPages, Bytes = (ulong)progress.Bytes }), cancellation);
            CreateRequest origin = request.Instead is { Configuration.Length: > 0 } instead ? instead : saved.Origin;
            (GuestConfig config, held) = Read(origin, restores: true);
            if (request.Name.Length != 0)
            {
                (saved.Name, saved.Uuid) = (GuestConfigReader.IsName(request.Name) ? request.Name : throw new ControlException(ControlError.Invalid, $"\"{request.Name}\" is not a name"), Guid.NewGuid());
            }

            var guest = new Guest(Guests, config with { Name = saved.Name }, Options(saved.Origin, request.Paused), saved, new GuestConsole(), _log, static _ => { }) { Origin = origin };
            Task run = RunAsync(guest, held);
            held = null;
            if (await Task.WhenAny(guest.Control.Started, run).ConfigureAwait(false) == run)
            {
                await run.ConfigureAwait(false);
            }

            _log.WriteLine(string.Create(CultureInfo.InvariantCulture, $"dbt: {guest.Name} is domain {guest.Control.Id}, restored from {request.Path}"));
            return new Progress { Id = guest.Control.Id, Name = guest.Name };
        }
        finally
        {
            held?.Dispose();
            Leave();
            _tidy.Change(TidyAfter, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>What there is to tell of it.</summary>
    public Information Describe()
    {
        const ulong frameKib = 4;
        return new Information
        {
            ProcessId = (uint)Environment.ProcessId,
            Version = VersionCommand.Version,
            UpSeconds = (Environment.TickCount64 - _started) / 1000.0,
            Domains = (uint)Guests.Guests.Count,
            Log = _logPath,
            FreeKib = Guests.Machine.Machine.FreeFrames * frameKib,
            TotalKib = Guests.Machine.Machine.FrameCount * frameKib,
        };
    }

    /// <summary>Ends it: with force its domains are destroyed.</summary>
    /// <exception cref="ControlException">It has domains.</exception>
    public void Stop(bool force)
    {
        if (!TryEnd(force))
        {
            IReadOnlyList<Guest> guests = Guests.Guests;
            throw new ControlException(ControlError.Refused, guests.Count == 0 ? "a domain is just being made"
                : $"{guests.Count} domains run ({string.Join(", ", guests.Select(guest => guest.Name))}); shut them down, or use --force, which destroys them");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _idle.Dispose();
        _tidy.Dispose();
        _listener?.Dispose();
        Guests.Dispose();
    }

    private static GuestOptions Options(CreateRequest request, bool paused) => new()
    {
        Engine = EngineNames.Parse(request.Engine.Length == 0 ? "tiered" : request.Engine)
            ?? throw new ControlException(ControlError.Invalid, $"engine: '{request.Engine}' is none of {EngineNames.All}"),
        PortableFloatingPoint = PortableFloatingPoint,
        CodeFolder = request.NoCodeCache ? null : CodeFolder.Default,
        HangAfter = HangWatch.Default,
        HangAdvice = HangAdvice,
        TerminalSize = request is { Rows: > 0, Columns: > 0 } ? new TerminalSize((int)request.Rows, (int)request.Columns) : null,
        Paused = paused,
    };

    private static (GuestConfig Config, IDisposable? Held) Read(CreateRequest request, bool restores = false)
    {
        if (request.Guest.Length == 0)
        {
            return (request is { Source.Length: 0, Configuration.Length: 0 }
                ? GuestConfigReader.Read(null, "", request.Settings, request.Folder, restores: restores)
                : new ConfigOrigin(request.Configuration, request.Source.Length == 0 ? null : request.Source, request.Folder).Read(request.Settings, restores: restores), null);
        }

        if (!KnownGuests.Names.Contains(request.Guest))
        {
            throw new ControlException(ControlError.NotFound, $"there is no guest {request.Guest}; there are {string.Join(", ", KnownGuests.Names)}");
        }

        GuestStore store = request.GuestCache.Length == 0 ? GuestStore.Default : new GuestStore(request.GuestCache, request.GuestData);
        IDisposable held = store.Open(request.Guest, anew: false);
        try
        {
            return (GuestConfigReader.ReadSettings(KnownGuests.Configuration(request.Guest, store), request.Settings, request.Folder, restores: restores), held);
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    private async Task RunAsync(Guest guest, IDisposable? held)
    {
        lock (_lock)
        {
            _running++;
        }

        try
        {
            await Task.Yield();
            await guest.RunAsync().ConfigureAwait(false);
            _log.WriteLine($"dbt: {guest.Name} has ended");
        }
        catch (Exception exception) when (ControlErrors.Of(exception) is { } status)
        {
            _log.WriteLine($"dbt: {guest.Name} can't be started: {status.Detail}");
            throw;
        }
        finally
        {
            held?.Dispose();
            lock (_lock)
            {
                _running--;
            }

            RestartIdleTime();
        }
    }

    private void Enter()
    {
        lock (_lock)
        {
            if (_ending)
            {
                throw new ControlException(ControlError.Unavailable, "the daemon is just ending");
            }

            _busy++;
        }
    }

    private void Leave()
    {
        lock (_lock)
        {
            _busy--;
        }

        RestartIdleTime();
    }

    private void RestartIdleTime()
    {
        bool done;
        lock (_lock)
        {
            done = _ending && _running == 0 && Guests.Guests.Count == 0;
        }

        if (done)
        {
            _ended.TrySetResult();
        }
        else
        {
            // Who listens for guests stays until it is told to end.
            _idle.Change(_listener is null ? _idleLimit : Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }

    private bool TryEnd(bool force)
    {
        IReadOnlyList<Guest> guests;
        lock (_lock)
        {
            guests = Guests.Guests;
            if (_busy > 0 || (guests.Count > 0 && !force))
            {
                return false;
            }

            _ending = true;
        }

        foreach (Guest guest in guests)
        {
            guest.Leave(ExitStatus.Failure);
        }

        RestartIdleTime();
        return true;
    }
}
