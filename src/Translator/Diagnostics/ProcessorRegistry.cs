namespace Dbt.Translator.Diagnostics;

/// <summary>The virtual processors of this process, and what those that have gone counted. Any thread.</summary>
public static class ProcessorRegistry
{
    // Counters are asked for one by one, once a second: they are all of one look.
    private const long FreshMilliseconds = 100;

    private static readonly Lock s_lock = new();
    private static readonly List<ProcessorProbe> s_probes = [];
    private static readonly CounterTotals s_gone = new();
    private static readonly Dictionary<string, string> s_facts = [];
    private static CounterTotals? s_last;
    private static long s_lastAt;
    private static int s_next;

    /// <summary>Adds a processor.</summary>
    public static void Add(ProcessorProbe probe)
    {
        lock (s_lock)
        {
            probe.Number = s_next++;
            s_probes.Add(probe);
        }

        DbtEventSource.Log.TellProcessor(probe);
    }

    /// <summary>Notes what a tool that attaches wants to know of this process: the guest's name, where its kernel is.</summary>
    public static void Describe(string fact, string value)
    {
        lock (s_lock)
        {
            s_facts[fact] = value;
        }
    }

    /// <summary>The sum of all processors, those that have gone included.</summary>
    /// <param name="fresh">Whether a sum of a moment ago will not do.</param>
    public static CounterTotals Totals(bool fresh = false)
    {
        lock (s_lock)
        {
            if (fresh || s_last is null || Environment.TickCount64 - s_lastAt >= FreshMilliseconds)
            {
                var totals = new CounterTotals();
                totals.Add(s_gone);
                s_probes.ForEach(probe => probe.AddTo(totals));
                (s_last, s_lastAt) = (totals, Environment.TickCount64);
            }

            return s_last;
        }
    }

    /// <summary>Removes a processor; nobody looks at its state when this returns.</summary>
    internal static void Remove(ProcessorProbe probe)
    {
        lock (s_lock)
        {
            if (s_probes.Remove(probe))
            {
                probe.AddTo(s_gone);
                s_gone.ForgetMoment();
                s_last = null;
            }
        }
    }

    /// <summary>Does something with each processor, which can't go meanwhile.</summary>
    internal static void ForEach(Action<ProcessorProbe> action)
    {
        lock (s_lock)
        {
            s_probes.ForEach(action);
        }
    }

    /// <summary>What <see cref="Describe"/> noted.</summary>
    internal static IReadOnlyList<KeyValuePair<string, string>> Facts()
    {
        lock (s_lock)
        {
            return [.. s_facts];
        }
    }
}
