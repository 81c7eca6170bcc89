using Dbt.Xen.Scheduling;

namespace Dbt.Tests.Xen.Scheduling;

/// <summary>A host with a number of processors and threads that compute, in steps of a tenth of a millisecond, and a scheduler on its clock.</summary>
internal sealed class SimulatedMachine
{
    private const long Step = 100_000;

    private readonly int _processors;
    private readonly List<Thread> _threads = [];
    private long _now = 1_000_000_000, _timer = long.MaxValue;
    private int _turn;

    public SimulatedMachine(int processors)
    {
        _processors = processors;
        Scheduler = new CreditScheduler(processors, () => _now, at =>
        {
            _timer = at;
            TimersSet++;
        });
    }

    public CreditScheduler Scheduler { get; }

    /// <summary>By how much the host is late with a timer, in nanoseconds.</summary>
    public long Lateness { get; set; }

    public bool HasTimer => _timer != long.MaxValue;

    public int TimersSet { get; private set; }

    /// <summary>Makes a domain with processors that all want to run.</summary>
    public (CpuShare Share, Thread[] Threads) Domain(int weight, int cap, int processors = 1)
    {
        CpuShare share = Scheduler.Add();
        Thread[] threads = [.. Enumerable.Range(0, processors).Select(_ => new Thread(share))];
        foreach (Thread thread in threads)
        {
            share.Add(thread);
        }

        _threads.AddRange(threads);
        share.Set(weight, cap);
        return (share, threads);
    }

    /// <summary>Lets time pass: the host gives its processors to those that want them, in turn.</summary>
    public void Run(TimeSpan time)
    {
        for (long end = _now + (time.Ticks * TimeSpan.NanosecondsPerTick); _now < end;)
        {
            _now += Step;
            Thread[] running = [.. _threads.Where(thread => thread.WantsToRun && !thread.Rests)];
            for (int i = 0; i < Math.Min(_processors, running.Length); i++)
            {
                running[_turn++ % running.Length].ProcessorTime += Step;
            }

            if (_now >= _timer && _now - _timer >= Lateness)
            {
                _timer = long.MaxValue;
                Scheduler.TimerFired();
            }
        }
    }

    /// <summary>A virtual processor's thread.</summary>
    internal sealed class Thread(CpuShare share) : IScheduled
    {
        private bool _wants = true;

        public long ProcessorTime { get; set; }

        public TimeSpan Time => TimeSpan.FromTicks(ProcessorTime / TimeSpan.NanosecondsPerTick);

        public bool Rests { get; private set; }

        public bool WantsToRun
        {
            get => _wants;
            set
            {
                _wants = value;
                share.Changed();
            }
        }

        public void SetResting(bool rests) => Rests = rests;
    }
}
