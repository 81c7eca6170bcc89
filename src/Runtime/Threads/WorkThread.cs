namespace Dbt.Runtime.Threads;

/// <summary>
/// A thread for one long piece of work. Starting one of the host's takes as long as the host leaves the new thread waiting, so some can be started
/// beforehand (<see cref="Keep"/>) for a moment in which a guest is held.
/// </summary>
public sealed class WorkThread
{
    private const int StackBytes = 256 << 10;

    private static readonly Lock s_lock = new();
    private static readonly Stack<WorkThread> s_spare = new();

    private readonly SemaphoreSlim _begin = new(0);
    private readonly Thread _thread;
    private string? _name;
    private Action? _work;

    private WorkThread()
    {
        _thread = new Thread(Run, StackBytes) { IsBackground = true };
        _thread.Start();
    }

    /// <summary>Has so many threads wait for work. Any thread.</summary>
    public static void Keep(int count)
    {
        lock (s_lock)
        {
            while (s_spare.Count < count)
            {
                s_spare.Push(new WorkThread());
            }
        }
    }

    /// <summary>Has a thread do some work, once. Any thread.</summary>
    /// <param name="name">The thread's name, as debuggers and <c>top</c> show it.</param>
    /// <param name="work">What it does; its stack is 256 KiB.</param>
    public static WorkThread Start(string name, Action work)
    {
        WorkThread? thread;
        lock (s_lock)
        {
            _ = s_spare.TryPop(out thread);
        }

        thread ??= new WorkThread();
        (thread._name, thread._work) = (name, work);
        thread._begin.Release();
        return thread;
    }

    /// <summary>Waits until the work is done; at once where it is the calling thread's own.</summary>
    public void Join()
    {
        if (Thread.CurrentThread != _thread)
        {
            _thread.Join();
        }
    }

    private void Run()
    {
        _begin.Wait();
        _begin.Dispose();
        Thread.CurrentThread.Name = _name;
        _work!();
    }
}
