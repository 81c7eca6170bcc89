using System.Diagnostics.Tracing;

namespace Dbt.Translator.Diagnostics;

/// <summary>The counters of <see cref="DbtEventSource"/>: sums over all processors of the process. Made when the first session comes.</summary>
internal sealed class ProcessCounters : IDisposable
{
    private static readonly string[] s_sideExits = ["tlb-miss-read", "tlb-miss-write", "page-cross", "code-write", "divide", "unaligned-lock", "rare", "untranslated"];

    private readonly DbtEventSource _source;
    private readonly List<DiagnosticCounter> _counters = [];

    public ProcessCounters(DbtEventSource source)
    {
        _source = source;
        Rate("instructions-interpreted", "Guest instructions, interpreter", totals => totals.Engines.InterpretedInstructions);
        Rate("instructions-quick", "Guest instructions, quick blocks", totals => totals.Engines.QuickInstructions);
        Rate("instructions-optimised", "Guest instructions, optimised regions", totals => totals.Engines.OptimizedInstructions);
        Rate("blocks-decoded", "Blocks decoded", totals => totals.Engines.BlocksDecoded);
        Rate("blocks-compiled", "Quick blocks compiled", totals => totals.Engines.BlocksCompiled);
        Rate("regions-compiled", "Regions compiled", totals => totals.Engines.RegionsCompiled);
        Rate("regions-taken-over", "Regions taken over, compiled before", totals => totals.Engines.RegionsTakenOver);
        Rate("compile-time-saved", "Time in the compiler that those took then", totals => totals.Engines.CompileMillisecondsSaved, "ms");
        Rate("il-bytes", "IL emitted", totals => totals.Engines.IlBytes, "B");
        Rate("compile-time", "Time in the compiler", totals => totals.Engines.CompileMilliseconds, "ms");
        Gauge("compile-queue", "Regions that wait for the compiler", totals => totals.Engines.QueueLength);
        Gauge("cached-blocks", "Blocks in the code cache", totals => totals.Engines.CachedBlocks);
        Gauge("cached-translations", "Translations in the code cache", totals => totals.Engines.CachedTranslations);
        Gauge("cached-il-bytes", "IL of the translations in the code cache", totals => totals.Engines.CachedIlBytes, "B");
        Rate("invalidations", "Blocks and regions whose code was written", totals => totals.Engines.Invalidations);
        Rate("links", "Links made", totals => totals.Engines.Links);
        Rate("look-ups", "Dispatcher's look-ups", totals => totals.Engines.LookUps);
        Share("look-up-hits", "Dispatcher's look-ups answered at once", totals => totals.Engines.LookUps - totals.Engines.LookUpMisses, totals => totals.Engines.LookUps);
        foreach (string reason in s_sideExits)
        {
            Rate($"side-exits-{reason}", $"Side exits, {reason}", totals => totals.SideExits(reason));
        }

        Rate("hypercalls", "Hypercalls", totals => totals.Hypercalls.Values.Sum());
        Rate("upcalls", "Upcalls and interrupts taken", totals => totals.Upcalls);
        Share("idle-share", "Share of the time that processors waited", totals => totals.IdleNanoseconds, totals => totals.OnlineNanoseconds);
    }

    /// <inheritdoc/>
    public void Dispose() => _counters.ForEach(counter => counter.Dispose());

    private void Rate(string name, string text, Func<CounterTotals, double> value, string unit = "") =>
        _counters.Add(new IncrementingPollingCounter(name, _source, () => value(ProcessorRegistry.Totals()))
        {
            DisplayName = text,
            DisplayUnits = unit,
            DisplayRateTimeScale = TimeSpan.FromSeconds(1),
        });

    private void Gauge(string name, string text, Func<CounterTotals, double> value, string unit = "") =>
        _counters.Add(new PollingCounter(name, _source, () => value(ProcessorRegistry.Totals())) { DisplayName = text, DisplayUnits = unit });

    /// <summary>Per cent of what was added since the counter was last read.</summary>
    private void Share(string name, string text, Func<CounterTotals, double> part, Func<CounterTotals, double> whole)
    {
        double lastPart = 0, lastWhole = 0;
        _counters.Add(new PollingCounter(name, _source, Read) { DisplayName = text, DisplayUnits = "%" });

        double Read()
        {
            CounterTotals totals = ProcessorRegistry.Totals();
            (double newPart, double newWhole) = (part(totals), whole(totals));
            double share = newWhole > lastWhole ? 100 * (newPart - lastPart) / (newWhole - lastWhole) : 0;
            (lastPart, lastWhole) = (newPart, newWhole);
            return share;
        }
    }
}
