namespace Dbt.Devices.Store;

/// <summary>Serves one guest's xenstore ring on a thread of its own.</summary>
internal sealed class StoreBackend : IDisposable
{
    private readonly XenStore _store;
    private readonly IFrontend _frontend;
    private readonly ISharedPage _page;
    private readonly StoreSession _session;
    private readonly StoreRing _ring;
    private readonly IEventLink _link;
    private readonly AutoResetEvent _wake = new(true);
    private readonly Thread _thread;
    private volatile bool _stopping;

    /// <summary>Introduces the guest and starts to serve it.</summary>
    /// <exception cref="InvalidOperationException">The port isn't one that was made for this back end.</exception>
    public StoreBackend(XenStore store, IFrontend frontend, ISharedPage page, uint port)
    {
        _store = store;
        _frontend = frontend;
        _page = page;
        if (!frontend.TryConnect(port, () => _wake.Set(), out IEventLink? link))
        {
            throw new InvalidOperationException($"xenstore port {port} can't be connected");
        }

        _link = link;
        _session = store.Introduce(frontend.DomainId);
        _session.Outbox.Added += () => _wake.Set();
        _session.Outbox.Lost += () => frontend.Log.AddOnce("xenstore: the guest doesn't read its watch events; some were lost");
        _ring = new StoreRing(page, _session);
        _ring.Start();
        _thread = new Thread(Run) { Name = $"xenstore {frontend.DomainId}", IsBackground = true };
        _thread.Start();
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
            bool wasBroken = _ring.IsBroken;
            if (_ring.Pump())
            {
                idle.Reset();
                _link.Notify();
                continue;
            }

            if (_ring.IsBroken && !wasBroken)
            {
                _frontend.Log.AddOnce("xenstore: the guest broke the ring's protocol; it is not served until it reconnects");
                _link.Notify();
            }

            // A full reply ring may be drained without an event; look again from time to time.
            _wake.WaitOne(_ring.HasOutput && !_ring.IsBroken ? idle.Next() : Timeout.Infinite);
        }
    }
}
