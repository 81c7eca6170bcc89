using Dbt.Runtime.Threads;

namespace Dbt.Devices.Block;

/// <summary>
/// Threads that wait for the host's storage in a disk's place. One more is made when there is work and all others are busy, up to a number; an
/// idle one sleeps.
/// </summary>
/// <param name="name">The threads' name.</param>
/// <param name="most">Threads at most, which is also how many requests the host gets at a time.</param>
internal sealed class BlockWorkers(string name, int most) : IDisposable
{
    private readonly object _gate = new();
    private readonly Queue<BlockJob> _waiting = new();
    private readonly List<WorkThread> _threads = [];
    private int _idle;
    private bool _ending;

    /// <summary>Has a job run and completed, on some thread.</summary>
    public void Add(BlockJob job)
    {
        lock (_gate)
        {
            _waiting.Enqueue(job);
            if (_idle >= _waiting.Count)
            {
                Monitor.Pulse(_gate);
            }
            else if (_threads.Count < most)
            {
                _threads.Add(WorkThread.Start(name, Run));
            }
        }
    }

    /// <summary>Ends the threads, when they have done what waits.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _ending = true;
            Monitor.PulseAll(_gate);
        }

        foreach (WorkThread thread in _threads)
        {
            thread.Join();
        }
    }

    private void Run()
    {
        while (TryTake(out BlockJob? job))
        {
            job!.Run();
            job.Queue.Complete(job);
        }
    }

    private bool TryTake(out BlockJob? job)
    {
        lock (_gate)
        {
            _idle++;
            while (!_waiting.TryDequeue(out job) && !_ending)
            {
                Monitor.Wait(_gate);
            }

            _idle--;
            return job is not null;
        }
    }
}
