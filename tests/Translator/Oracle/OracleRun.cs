using System.Diagnostics;
using System.Text;
using Dbt.Translator;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>Runs vectors on the reference and on engines, on several threads, and collects what differs, one minimal example for each kind.</summary>
internal sealed class OracleRun : IDisposable
{
    private const int MaxKinds = 40;

    private readonly OracleFailures _failures = new();
    private readonly OracleWorker[] _workers;
    private readonly Dictionary<string, (long Vectors, TimeSpan Time)> _scenarios = [];

    /// <param name="threads">How many workers, each with engines of its own.</param>
    /// <param name="guests">Makes the engines of one.</param>
    /// <param name="reference">Makes what they are compared with; the host's own processor where null.</param>
    public OracleRun(int threads, Func<GuestProcessor[]> guests, Func<IOracleReference>? reference = null) =>
        _workers = [.. Enumerable.Range(0, threads).Select(_ => new OracleWorker(guests(), _failures, reference?.Invoke() ?? new NativeProcessor()))];

    /// <summary>Vectors compared so far, on all engines.</summary>
    public long Compared => _workers.Sum(w => w.Compared);

    /// <summary>Vectors of which nothing can be said: they reached into the harness, or did not end.</summary>
    public long Unusable => _workers.Sum(w => w.Unusable);

    /// <summary>Whether examples of differences are made small.</summary>
    public bool Shrinks
    {
        get => _failures.Shrinks;
        init => _failures.Shrinks = value;
    }

    /// <summary>Told of the first example of each kind as it comes.</summary>
    public Action<string>? Found
    {
        get => _failures.Found;
        init => _failures.Found = value;
    }

    /// <summary>Kinds of differences found.</summary>
    public int Kinds => _failures.Kinds;

    /// <summary>Runs of each encoding.</summary>
    public VectorCounts Counts
    {
        get
        {
            var counts = new VectorCounts();
            foreach (OracleWorker worker in _workers)
            {
                counts.Add(worker.Counts);
            }

            return counts;
        }
    }

    /// <summary>Runs a number of vectors.</summary>
    /// <param name="scenario">What is drawn.</param>
    /// <param name="seed">Reproduces them, however many threads there are.</param>
    /// <param name="count">How many.</param>
    /// <param name="firstBatch">The first batch's number.</param>
    public void Run(OracleScenario scenario, int seed, long count, int firstBatch = 0)
    {
        long before = Compared;
        var watch = Stopwatch.StartNew();
        int batches = (int)((count + OracleWorker.BatchSize - 1) / OracleWorker.BatchSize), next = -1;
        void Work(OracleWorker worker)
        {
            int batch;
            while ((batch = Interlocked.Increment(ref next)) < batches && _failures.Kinds < MaxKinds)
            {
                int size = (int)Math.Min(OracleWorker.BatchSize, count - ((long)batch * OracleWorker.BatchSize));
                worker.Run(scenario, seed, firstBatch + batch, size);
            }
        }

        Exception? failure = null;
        Thread[] threads = [.. _workers.Select(worker => new Thread(() =>
        {
            try
            {
                Work(worker);
            }
            catch (Exception e)
            {
                // Handed to the thread that waits: a run that broke must not end the whole test process.
                failure = e;
            }
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        if (failure is not null)
        {
            throw new InvalidOperationException("A worker of the oracle broke.", failure);
        }

        (long vectors, TimeSpan time) = _scenarios.GetValueOrDefault(scenario.Name);
        _scenarios[scenario.Name] = (vectors + Compared - before, time + watch.Elapsed);
    }

    /// <summary>The differences: how often, and a minimal example of each kind.</summary>
    public string Report()
    {
        var text = new StringBuilder();
        text.AppendLine($"{Compared} vectors compared, {Unusable} unusable, {_failures.Kinds} kinds of differences");
        foreach ((string name, (long vectors, TimeSpan time)) in _scenarios)
        {
            text.AppendLine($"{name}: {vectors} vectors, {vectors / Math.Max(1e-3, time.TotalSeconds):F0} a second");
        }

        text.Append(_failures);
        GuestProcessor[] guests = [.. _workers.SelectMany(w => w.Guests)];
        foreach (IGrouping<string, GuestProcessor> engine in guests.GroupBy(g => g.Name))
        {
            EngineStatistics[] s = [.. engine.Select(g => g.Statistics)];
            text.AppendLine(
                $"{engine.Key}: {s.Sum(e => (double)e.InterpretedInstructions):F0} instructions interpreted, {s.Sum(e => (double)e.QuickInstructions):F0} quick, "
                + $"{s.Sum(e => (double)e.OptimizedInstructions):F0} optimised");
            string[] missing = [.. engine.SelectMany(g => g.Unimplemented).Distinct()];
            if (missing.Length > 0)
            {
                text.AppendLine($"not implemented in {engine.Key}: {string.Join(' ', missing)}");
            }
        }

        return text.ToString();
    }

    /// <inheritdoc/>
    public void Dispose() => Array.ForEach(_workers, worker => worker.Dispose());
}
