using System.Diagnostics;

namespace Dbt.Perf.Fuzz;

/// <summary>Case after case of one kind in one arena, each looked at afterwards.</summary>
internal sealed class FuzzRun : IDisposable
{
    private const int MachineMiB = 192, CasesUntilSettled = 300, MostGrowthMiB = 600;
    private static readonly TimeSpan s_longestCase = TimeSpan.FromSeconds(180);
    private readonly IFuzzKind _kind;
    private readonly HostPulse _pulse = new();
    private readonly FuzzWatchdog _watchdog;
    private readonly FuzzFindings _findings;
    private long _settledMiB;

    /// <param name="kind">A name of <see cref="FuzzKinds"/>.</param>
    /// <param name="findings">Where findings go.</param>
    public FuzzRun(string kind, FuzzFindings findings)
    {
        _kind = FuzzKinds.Create(kind) ?? throw new ArgumentException($"no kind {kind}", nameof(kind));
        _findings = findings;
        _watchdog = new FuzzWatchdog(s_longestCase, () => _findings.Fatal($"a case takes longer than {s_longestCase}"));
        Arena = new FuzzArena(MachineMiB);
    }

    /// <summary>The machine.</summary>
    public FuzzArena Arena { get; }

    /// <summary>Cases done.</summary>
    public long Cases { get; private set; }

    /// <summary>Resident memory of the process in MiB, as of the last look, and what it was when all was warm.</summary>
    public (long Now, long Settled) ResidentMiB { get; private set; }

    /// <summary>Runs cases that a seed gives until it is told to stop.</summary>
    /// <exception cref="FuzzFinding">The first finding; it was written.</exception>
    public void Run(int seed, Func<bool> goesOn, Action<FuzzRun, FuzzCorpus>? progress = null)
    {
        var corpus = new FuzzCorpus(seed, _kind.LongestCase);
        while (goesOn())
        {
            byte[] bytes = corpus.Next();
            RunCase(bytes);
            if (Arena.Notes.TakeNew())
            {
                corpus.Keep(bytes);
            }

            progress?.Invoke(this, corpus);
        }
    }

    /// <summary>Runs one case.</summary>
    /// <exception cref="FuzzFinding">It found something; it was written.</exception>
    public void RunCase(byte[] bytes)
    {
        _findings.Begin(bytes);
        _watchdog.Begin();
        try
        {
            _kind.Run(new FuzzInput(bytes), Arena);
            Arena.Check();
            if (++Cases % 100 == 0)
            {
                Arena.CheckNeighbourRuns();
                CheckMemory();
            }
        }
        catch (Exception exception)
        {
            _findings.Write(exception.ToString());
            throw;
        }
        finally
        {
            _watchdog.End();
        }

        _findings.End();
    }

    /// <summary>How it stands, in a line.</summary>
    public string Describe(FuzzCorpus? corpus = null) =>
        $"{Cases} cases, {Arena.Notes.Attackers} attackers of which {Arena.Notes.Crashes} crashed, {Arena.Notes.Count} outcomes{(corpus is null ? "" : $", corpus {corpus.Count}")}, "
        + $"slowest stop {Arena.Notes.SlowestStop} ms{(Arena.Notes.SlowestWas is "" ? "" : $" ({Arena.Notes.SlowestWas})")}, neighbour {Arena.Neighbour.Rounds} rounds, late {Arena.Neighbour.LatestMilliseconds:F0} ms (host {_pulse.LatestMilliseconds:F0} ms), "
        + $"resident {ResidentMiB.Now} MiB (settled {ResidentMiB.Settled})";

    /// <inheritdoc/>
    public void Dispose()
    {
        _watchdog.Dispose();
        _kind.Dispose();
        Arena.Dispose();
        _pulse.Dispose();
    }

    private void CheckMemory()
    {
        using var process = Process.GetCurrentProcess();
        long now = process.WorkingSet64 >> 20;
        if (Cases >= CasesUntilSettled && _settledMiB == 0)
        {
            _settledMiB = now;
        }

        if (_settledMiB != 0 && now > _settledMiB + MostGrowthMiB)
        {
            // What nobody refers to any more isn't growth.
            GC.Collect();
            GC.WaitForPendingFinalizers();
            GC.Collect();
            process.Refresh();
            now = process.WorkingSet64 >> 20;
            FuzzFinding.Unless(now <= _settledMiB + MostGrowthMiB, $"the process has {now} MiB resident after {Cases} cases, and had {_settledMiB}");
        }

        ResidentMiB = (now, _settledMiB);
    }
}
