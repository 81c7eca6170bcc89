using Dbt.Runtime.Threads;

namespace Dbt.Devices.Block;

/// <summary>
/// Serves one ring. A thread of its own takes requests off it and answers what needs no waiting; the rest goes to the disk's workers, and
/// responses come as they are done, in any order. A flush is carried out when the changes that were on this ring before it are done; what is
/// behind it on the ring waits until it has begun, and what is behind a barrier until that is done. The number of requests under way is limited.
/// </summary>
internal sealed class BlockQueue : IDisposable
{
    private const int MaxUnderWay = 64;
    private readonly BlockDisk _disk;
    private readonly BlockRing _ring;
    private readonly GrantCache _grants;
    private readonly Action _drained;
    private readonly Action _broken;
    private readonly AutoResetEvent _wake = new(false);
    private readonly ManualResetEventSlim _idle = new(false);

    // Guards the ring and what follows.
    private readonly Lock _gate = new();
    private readonly Stack<BlockJob> _free = new();
    private IEventLink? _link;
    private int _underWay;
    private int _changing;
    private BlockJob? _held;
    private BlockJob? _barrier;
    private uint _left = uint.MaxValue;
    private bool _stopping, _finishing;

    /// <summary>Takes over a ring.</summary>
    /// <param name="disk">The disk.</param>
    /// <param name="ring">The ring, disposed with this.</param>
    /// <param name="persistentGrants">Grants to keep between requests.</param>
    /// <param name="drained">Called on any thread, without locks, when <see cref="TryStop"/> had to wait and needn't any more.</param>
    /// <param name="broken">Called on the queue's thread, without locks, when the ring's indices make no sense.</param>
    public BlockQueue(BlockDisk disk, BlockRing ring, int persistentGrants, Action drained, Action broken)
    {
        _disk = disk;
        _ring = ring;
        _grants = new GrantCache(disk.Frontend, persistentGrants);
        _drained = drained;
        _broken = broken;
    }

    /// <summary>Connects the event channel.</summary>
    /// <returns>False where the port can't be connected; then only <see cref="Dispose"/> may follow.</returns>
    public bool TryConnect(uint port) => _disk.Frontend.TryConnect(port, () => _wake.Set(), out _link);

    /// <summary>Begins. The event channel is connected.</summary>
    public void Start()
    {
        WorkThread.Start($"{_disk.Name} {_disk.Frontend.DomainId}", Run);

        // Requests that were on the ring before it was connected came with no event.
        _wake.Set();
    }

    /// <summary>Takes no more requests.</summary>
    /// <returns>Whether none is under way any more; otherwise "drained" is called when that is so.</returns>
    public bool TryStop()
    {
        lock (_gate)
        {
            StopTaking();
            _wake.Set();
            return _underWay == 0;
        }
    }

    /// <summary>Does what is on the ring now, then stops. Waits for that.</summary>
    public void Finish()
    {
        lock (_gate)
        {
            if (_stopping && _underWay == 0)
            {
                return;
            }

            _finishing = true;
            _left = _ring.Size;
            _wake.Set();
        }

        _idle.Wait();
    }

    /// <summary>Lets go of the guest's pages and port. No request may be under way.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _stopping = true;
            _link?.Dispose();
            foreach (BlockJob job in _free)
            {
                job.Dispose();
            }

            _free.Clear();
            _grants.Dispose();
            _ring.Dispose();
        }

        _wake.Set();
    }

    /// <summary>Responds to a request that is done.</summary>
    internal void Complete(BlockJob job)
    {
        // Before the guest hears of it: it may take its pages back as soon as it does.
        job.Finish();
        bool drained;
        lock (_gate)
        {
            _ring.Respond(job.Request, job.Status);
            if (_ring.Push())
            {
                _link!.Notify();
            }

            bool wasFull = _underWay == MaxUnderWay;
            _underWay--;
            _changing -= job.Changes ? 1 : 0;
            bool wasBarrier = _barrier == job;
            if (wasBarrier)
            {
                _barrier = null;
            }

            _free.Push(job);
            if (wasFull || wasBarrier || _finishing || (_held is not null && _changing == 0))
            {
                _wake.Set();
            }

            drained = _stopping && _underWay == 0;
            if (drained)
            {
                _idle.Set();
            }
        }

        if (drained)
        {
            _drained();
        }
    }

    private void Run()
    {
        while (true)
        {
            _wake.WaitOne();
            while (TryNext(out BlockJob? job))
            {
                if (!job!.TryPrepare() || job.TryAtOnce())
                {
                    Complete(job);
                }
                else
                {
                    _disk.Workers.Add(job);
                }
            }

            bool broken;
            lock (_gate)
            {
                broken = !_stopping && !_finishing && _ring.IsBroken;
                if (!_stopping && !broken && (!_finishing || _underWay > 0))
                {
                    continue;
                }

                StopTaking();
                if (_underWay == 0)
                {
                    _idle.Set();
                }
            }

            if (broken)
            {
                _broken();
            }

            return;
        }
    }

    private void StopTaking()
    {
        _stopping = true;
        if (_held is { } held)
        {
            _held = null;
            _underWay--;
            _free.Push(held);
        }
    }

    // The next request that may begin now.
    private bool TryNext(out BlockJob? job)
    {
        job = null;
        lock (_gate)
        {
            if (_stopping || _barrier is not null)
            {
                return false;
            }

            while (_held is null)
            {
                if (_underWay == MaxUnderWay || _left == 0)
                {
                    return false;
                }

                if (!_ring.TryTake(out BlockRequest request))
                {
                    if (_ring.HasMore())
                    {
                        continue;
                    }

                    return false;
                }

                _left -= _finishing ? 1u : 0;
                BlockJob taken = _free.TryPop(out BlockJob? used) ? used : new BlockJob(this, _disk, _grants);
                taken.Start(request);
                _underWay++;
                if (!taken.IsOrdered)
                {
                    _changing += taken.Changes ? 1 : 0;
                    job = taken;
                    return true;
                }

                _held = taken;
            }

            if (_changing > 0)
            {
                return false;
            }

            job = _held;
            _held = null;
            _changing += job.Changes ? 1 : 0;
            _barrier = job.IsBarrier ? job : null;
            return true;
        }
    }
}
