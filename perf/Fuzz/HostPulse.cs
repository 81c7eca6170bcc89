using System.Diagnostics;

namespace Dbt.Perf.Fuzz;

/// <summary>A host thread that sleeps as the neighbour does: how late it wakes is the host's load, and nobody's attack.</summary>
internal sealed class HostPulse : IDisposable
{
    private readonly Thread _thread;
    private volatile bool _stopping;
    private double _latest;

    public HostPulse()
    {
        _thread = new Thread(Run) { IsBackground = true, Name = "host pulse" };
        _thread.Start();
    }

    /// <summary>Longest time in milliseconds by which it was late.</summary>
    public double LatestMilliseconds => Volatile.Read(ref _latest);

    /// <inheritdoc/>
    public void Dispose()
    {
        _stopping = true;
        _thread.Join();
    }

    private void Run()
    {
        while (!_stopping)
        {
            long begin = Stopwatch.GetTimestamp();
            Thread.Sleep(5);
            Volatile.Write(ref _latest, Math.Max(_latest, Stopwatch.GetElapsedTime(begin).TotalMilliseconds - 5));
        }
    }
}
