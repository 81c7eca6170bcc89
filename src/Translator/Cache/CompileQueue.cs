using System.Collections.Concurrent;
using Dbt.Translator.State;

namespace Dbt.Translator.Cache;

/// <summary>
/// Compiles regions on a thread of its own. What is done is handed back to the processor's thread, which alone installs it.
/// </summary>
internal sealed unsafe class CompileQueue(CpuState* cpu, Action<Translation> compile, Action<Translation> abandon) : IDisposable
{
    private const int Capacity = 64;

    private readonly BlockingCollection<Translation> _requests = new(Capacity);
    private readonly ConcurrentQueue<Translation> _finished = new();
    private Thread? _thread;
    private volatile bool _stopping;
    private int _waiting;

    /// <summary>Regions that wait for the compiler.</summary>
    public int Waiting => Volatile.Read(ref _waiting);

    /// <summary>Has the thread there before the first region comes: starting one takes as long as the host leaves the new thread waiting.</summary>
    public void Prepare()
    {
        if (_thread is null)
        {
            _thread = new Thread(Work) { IsBackground = true, Name = "dbt-compile" };
            _thread.Start();
        }
    }

    /// <summary>Hands a region over.</summary>
    /// <returns>False where too many wait already.</returns>
    public bool TryAdd(Translation translation)
    {
        Prepare();
        Interlocked.Increment(ref _waiting);
        if (_requests.TryAdd(translation))
        {
            return true;
        }

        Interlocked.Decrement(ref _waiting);
        return false;
    }

    /// <summary>Takes a region that is compiled.</summary>
    public bool TryTake(out Translation translation) => _finished.TryDequeue(out translation!);

    /// <summary>Ends the thread; what was not compiled is forgotten.</summary>
    public void Dispose()
    {
        _stopping = true;
        _requests.CompleteAdding();
        _thread?.Join();
        _requests.Dispose();
    }

    private void Work()
    {
        foreach (Translation translation in _requests.GetConsumingEnumerable())
        {
            Interlocked.Decrement(ref _waiting);
            if (_stopping)
            {
                abandon(translation);
                continue;
            }

            compile(translation);
            _finished.Enqueue(translation);

            // A loop that never leaves its quick translation would not find out otherwise.
            if (!_stopping)
            {
                cpu->Attention = 1;
            }
        }
    }
}
