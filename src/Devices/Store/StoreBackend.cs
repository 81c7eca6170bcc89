using Dbt.Runtime.Threads;

namespace Dbt.Devices.Store;

/// <summary>Serves one guest's xenstore ring on a thread of its own.</summary>
internal sealed partial class StoreBackend : IDisposable
{
    private readonly XenStore _store;
    private readonly IFrontend _frontend;
    private readonly ISharedPage _page;
    private readonly StoreSession _session;
    private readonly StoreRing _ring;

    // Held while the ring is looked at, or while nobody may touch it.
    private readonly Lock _gate = new();
    private readonly IEventLink _link;
    private bool _held;
    private readonly AutoResetEvent _wake = new(true);
    private readonly WorkThread _thread;
    private volatile bool _stopping;

    /// <summary>Introduces the guest and starts to serve it.</summary>
    /// <exception cref="InvalidOperationException">The port isn't one that was made for this back end.</exception>
    public StoreBackend(XenStore store, IFrontend frontend, ISharedPage page, uint port)
        : this(store, frontend, page, port, new StoreNames(frontend.DomainId, frontend.DomainId), saved: null)
    {
    }

    /// <summary>Introduces the guest, and either starts to serve it or, with a saved state, is held until <see cref="Release"/>.</summary>
    /// <exception cref="InvalidOperationException">The port isn't one that was made for this back end.</exception>
    /// <exception cref="Xen.Snapshot.SnapshotException">The state is not good.</exception>
    public StoreBackend(XenStore store, IFrontend frontend, ISharedPage page, uint port, StoreNames names, Xen.Snapshot.SectionReader? saved)
    {
        _store = store;
        _frontend = frontend;
        _page = page;
        _session = store.Introduce(names);
        _session.Outbox.Added += () => _wake.Set();
        _session.Outbox.Lost += () => frontend.Log.AddOnce("xenstore: the guest doesn't read its watch events; some were lost");
        _ring = new StoreRing(page, _session);
        try
        {
            _link = frontend.TryConnect(port, () => _wake.Set(), out IEventLink? link) ? link
                : saved is null ? throw new InvalidOperationException($"xenstore port {port} can't be connected")
                : throw saved.Error("the port of its ring can't be connected");
            if (saved is null)
            {
                _ring.Start();
            }
            else
            {
                _held = true;
                _ring.Restore(saved);
                _session.Restore(saved);
            }
        }
        catch
        {
            _link?.Dispose();
            _store.Release(frontend.DomainId);
            throw;
        }

        _thread = WorkThread.Start($"xenstore {frontend.DomainId}", Run);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stopping = true;
        _wake.Set();
        _thread.Join();
        _link.Dispose();
        _store.Release(_frontend.DomainId);
        _page.Dispose();
    }

    private void Run()
    {
        var idle = new BackOff();
        while (!_stopping)
        {
            bool waits;
            lock (_gate)
            {
                if (!_held && Serve())
                {
                    idle.Reset();
                    continue;
                }

                waits = !_held && _ring.HasOutput && !_ring.IsBroken;
            }

            // A full reply ring may be drained without an event; look again from time to time.
            _wake.WaitOne(waits ? idle.Next() : Timeout.Infinite);
        }
    }

    private bool Serve()
    {
        bool wasBroken = _ring.IsBroken;
        if (_ring.Pump())
        {
            _link.Notify();
            return true;
        }

        if (_ring.IsBroken && !wasBroken)
        {
            _frontend.Log.AddOnce("xenstore: the guest broke the ring's protocol; it is not served until it reconnects");
            _link.Notify();
        }

        return false;
    }
}
