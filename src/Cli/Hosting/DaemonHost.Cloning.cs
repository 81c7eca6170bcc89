using System.Collections.Concurrent;
using System.Globalization;
using Dbt.Cli.Api;
using Dbt.Cli.Config;
using Dbt.Cli.Consoles;
using Dbt.Cli.Control;
using Dbt.Cli.Running;

namespace Dbt.Cli.Hosting;

/// <content>Clones of a saved guest.</content>
internal sealed partial class DaemonHost
{
    /// <summary>Most clones of one request.</summary>
    public const uint MostClones = 4096;

    private const string UserNetwork = "user";

    /// <summary>Makes guests of a saved one and lets them go on. Those that were made stay, whatever becomes of the others.</summary>
    /// <returns>Their names.</returns>
    /// <exception cref="ControlException">The name is taken, or none, or the daemon ends.</exception>
    /// <exception cref="ConfigException">The configuration says what can't be done.</exception>
    /// <exception cref="Xen.Snapshot.SnapshotException">The file is none, damaged, or of a paravirtual guest that was saved live.</exception>
    /// <exception cref="Runtime.HostException">A disk or a network can't be used.</exception>
    public async Task<Progress> CloneAsync(CloneRequest request, Action<Progress> report, CancellationToken cancellation)
    {
        Enter();
        IDisposable? held = null;
        try
        {
            uint count = Math.Max(request.Count, 1);
            Check(request, count);
            using SavedFile saved = SavedFile.Open(
                request.Path, progress => report(new Progress { Pages = (ulong)progress.Pages, AllPages = (ulong)progress.AllPages, Bytes = (ulong)progress.Bytes }), cancellation);
            CreateRequest origin = request.Instead is { Configuration.Length: > 0 } instead ? instead : saved.Origin;
            (GuestConfig config, held) = Read(origin, restores: true);
            if (config.Networks.FirstOrDefault(static card => card.Bridge != UserNetwork) is { } shared)
            {
                throw new ControlException(ControlError.Invalid, string.Create(CultureInfo.InvariantCulture,
                    $"network card {shared.Handle} is plugged into {shared.Bridge}, where all clones would have the same address; name a CONFIG that has it at bridge=user"));
            }

            // They may start anew, each with what the images hold.
            config = config with { Disks = [.. config.Disks.Select(static disk => disk with { IsOverlaid = !disk.ReadOnly && disk.Type != Devices.DiskType.Cdrom })] };

            // None runs before all are made: what each does first would hold up the making of the others.
            GuestOptions options = Options(saved.Origin, paused: true);
            long before = OwnBytes();
            using var template = new GuestTemplate(saved);
            string[] names = Names(request.Name, saved.Name, count);
            int made = 0;
            var clones = new ConcurrentQueue<Guest>();
            var parallel = new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancellation };
            try
            {
                await Parallel.ForEachAsync(names, parallel, async (name, _) =>
                {
                    var guest = new Guest(Guests, config with { Name = name }, options, template.Clone(name), new GuestConsole(), _log, static _ => { }) { Origin = origin };
                    Task run = RunAsync(guest, held: null);
                    if (await Task.WhenAny(guest.Control.Started, run).ConfigureAwait(false) == run)
                    {
                        await run.ConfigureAwait(false);
                    }

                    clones.Enqueue(guest);
                    report(new Progress { Pages = (ulong)Interlocked.Increment(ref made), AllPages = count });
                }).ConfigureAwait(false);
            }
            finally
            {
                if (!request.Paused)
                {
                    foreach (Guest clone in clones)
                    {
                        LetRun(clone);
                    }
                }
            }

            _log.WriteLine(string.Create(CultureInfo.InvariantCulture, $"dbt: {count} clones of {request.Path}: {names[0]}{(count > 1 ? " to " + names[^1] : "")}"));
            return new Progress { Names = { names }, BytesEach = (ulong)Math.Max(0, OwnBytes() - before) / count };
        }
        finally
        {
            held?.Dispose();
            Leave();
            _tidy.Change(TidyAfter, Timeout.InfiniteTimeSpan);
        }
    }

    // One that somebody has destroyed or let run meanwhile is no longer for this to let run.
    private static void LetRun(Guest clone)
    {
        try
        {
            clone.Control.SetPaused(false);
        }
        catch (ControlException)
        {
        }
    }

    private static void Check(CloneRequest request, uint count)
    {
        if (!Path.IsPathFullyQualified(request.Path))
        {
            throw new ControlException(ControlError.Invalid, $"path: '{request.Path}' is no full path");
        }

        if (count > MostClones)
        {
            throw new ControlException(ControlError.Invalid, string.Create(CultureInfo.InvariantCulture, $"count: {count} is more than {MostClones}"));
        }

        if (request.Name.Length != 0 && !GuestConfigReader.IsName(request.Name))
        {
            throw new ControlException(ControlError.Invalid, $"\"{request.Name}\" is not a name");
        }
    }

    // Numbers that nobody has: clones of an earlier time go on by theirs.
    private string[] Names(string given, string original, uint count)
    {
        if (given.Length != 0 && count == 1)
        {
            return [given];
        }

        string stem = given.Length != 0 ? given : original + "-clone";
        HashSet<string> taken = [.. Guests.Guests.Select(static guest => guest.Name)];
        var names = new List<string>();
        for (int number = 1; names.Count < count; number++)
        {
            string name = string.Create(CultureInfo.InvariantCulture, $"{stem}{number}");
            if (!taken.Contains(name))
            {
                names.Add(name);
            }
        }

        return [.. names];
    }

    private static long OwnBytes()
    {
        const int kibField = 1;
        string line = File.ReadLines("/proc/self/status").First(static line => line.StartsWith("RssAnon:", StringComparison.Ordinal));
        return long.Parse(line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[kibField], CultureInfo.InvariantCulture) << 10;
    }
}
