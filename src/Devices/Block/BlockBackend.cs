using System.Globalization;
using Dbt.Devices.Store;

namespace Dbt.Devices.Block;

/// <summary>
/// A virtual disk's back end: negotiates with the frontend through xenstore (states and nodes of public/io/blkif.h) and serves the ring
/// on a thread of its own. The frontend may close and open again, as a boot loader and the kernel after it do; every connection reads
/// the frontend's nodes anew. State changes are answered before the frontend's write to xenstore returns.
/// </summary>
internal sealed class BlockBackend : IDisposable
{
    private const int MaxRingPageOrder = 4;
    private readonly XenStore _store;
    private readonly IFrontend _frontend;
    private readonly DiskConfiguration _disk;
    private readonly IDiskImage _image;
    private readonly BlockProcessor _processor;
    private readonly string _back;
    private readonly string _front;
    private readonly string _name;
    private readonly IDisposable _watch;
    private readonly AutoResetEvent _wake = new(false);
    private readonly Thread _thread;

    // Guards what follows: the ring's thread and the frontend's state changes take turns.
    private readonly Lock _gate = new();
    private XenbusState _state = XenbusState.Initialising;
    private BlockConnection? _connection;
    private BlockRing? _ring;
    private IEventLink? _link;
    private bool _detaching;
    private volatile bool _stopping;
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Publishes the disk and starts to serve it. The image is disposed with this.</summary>
    public BlockBackend(XenStore store, IFrontend frontend, DiskConfiguration disk, IDiskImage image)
    {
        _store = store;
        _frontend = frontend;
        _disk = disk;
        _image = image;
        _name = $"disk {disk.Device.Name}";
        _processor = new BlockProcessor(frontend, image, _name);
        string number = disk.Device.Number.ToString(CultureInfo.InvariantCulture);
        string domain = frontend.DomainId.ToString(CultureInfo.InvariantCulture);
        _front = $"/local/domain/{domain}/device/vbd/{number}";
        _back = $"/local/domain/0/backend/vbd/{domain}/{number}";
        Publish();
        _thread = new Thread(Run) { Name = $"{_name} {domain}", IsBackground = true };
        _thread.Start();
        _watch = store.Watch(_front + "/state", _ => FrontendChanged());
    }

    /// <summary>The disk as configured.</summary>
    public DiskConfiguration Configuration => _disk;

    /// <summary>Completes when the guest has let go of the disk after <see cref="BeginDetach"/>.</summary>
    public Task Released => _released.Task;

    /// <summary>What there is to tell of the disk now.</summary>
    public DiskStatus Status => new(_disk, _image.Sectors * 512, (int)_state, BlockConnection.ReadNumber(_store, _front + "/event-channel"),
        BlockConnection.ReadNumber(_store, _front + "/ring-ref") ?? BlockConnection.ReadNumber(_store, _front + "/ring-ref0"), _back);

    /// <summary>
    /// Asks the guest to let go of the disk, as <c>xl block-detach</c> does; it is served until the guest has closed it. Nothing new where
    /// that was asked before.
    /// </summary>
    public void BeginDetach()
    {
        Back("online", "0");
        lock (_gate)
        {
            _detaching = true;
            SetState(_state == XenbusState.Closed ? XenbusState.Closed : XenbusState.Closing);
        }

        FrontendChanged();
    }

    /// <summary>Finishes what is on the ring, disconnects, and removes the disk's nodes.</summary>
    public void Dispose()
    {
        _watch.Dispose();
        _stopping = true;
        _wake.Set();
        _thread.Join();
        lock (_gate)
        {
            if (_ring is not null)
            {
                ProcessRound();
            }

            Disconnect();
        }

        _store.Remove(_back);
        _store.Remove(_front);
        _image.Dispose();
    }

    private void Publish()
    {
        bool cdrom = _disk.Type == DiskType.Cdrom;
        var guest = new StorePermission(_frontend.DomainId, StoreAccess.None);
        var guestReads = new StorePermission(_frontend.DomainId, StoreAccess.Read);
        _store.Mkdir(_back);
        _store.SetPermissions(_back, new StorePermission(0, StoreAccess.None), guestReads);
        Back("frontend", _front);
        Back("frontend-id", _frontend.DomainId.ToString(CultureInfo.InvariantCulture));
        Back("params", Path.GetFullPath(_disk.Path));
        Back("online", "1");
        Back("removable", cdrom ? "1" : "0");
        Back("bootable", "1");
        Back("dev", _disk.Device.Name);
        Back("type", "file");
        Back("mode", _image.IsReadOnly ? "r" : "w");
        Back("device-type", cdrom ? "cdrom" : "disk");
        Back("feature-flush-cache", "1");
        Back("feature-barrier", "1");
        Back("feature-persistent", "0");
        Back("feature-max-indirect-segments", BlockProcessor.MaxIndirectSegments.ToString(CultureInfo.InvariantCulture));
        Back("max-ring-page-order", MaxRingPageOrder.ToString(CultureInfo.InvariantCulture));
        Back("max-ring-pages", (1 << MaxRingPageOrder).ToString(CultureInfo.InvariantCulture));
        if (_image.CanDiscard)
        {
            Back("feature-discard", "1");
            Back("discard-granularity", "512");
            Back("discard-alignment", "0");
            Back("discard-secure", "0");
        }

        Back("sector-size", "512");
        Back("physical-sector-size", "512");
        Back("sectors", _image.Sectors.ToString(CultureInfo.InvariantCulture));
        Back("info", ((cdrom ? 1 : 0) | (cdrom ? 2 : 0) | (_image.IsReadOnly ? 4 : 0)).ToString(CultureInfo.InvariantCulture));
        SetState(XenbusState.InitWait);

        _store.Mkdir(_front);
        _store.SetPermissions(_front, guest, new StorePermission(0, StoreAccess.Read));
        _store.Write(_front + "/backend", _back);
        _store.Write(_front + "/backend-id", "0");
        _store.Write(_front + "/virtual-device", _disk.Device.Number.ToString(CultureInfo.InvariantCulture));
        _store.Write(_front + "/device-type", cdrom ? "cdrom" : "disk");
        _store.Write(_front + "/state", "1");
    }

    private void Back(string node, string value) => _store.Write($"{_back}/{node}", value);

    private void SetState(XenbusState state)
    {
        if (_state != state)
        {
            _state = state;
            Back("state", ((int)state).ToString(CultureInfo.InvariantCulture));
        }
    }

    // On the thread of whoever wrote the frontend's state.
    private void FrontendChanged()
    {
        lock (_gate)
        {
            if (_stopping)
            {
                return;
            }

            switch (BlockConnection.ReadState(_store, _front))
            {
                case XenbusState.Initialising when _detaching:
                case XenbusState.Initialised or XenbusState.Connected when _detaching && _ring is null:
                    // It wasn't in use, or the guest starts over with it: not any more.
                    Disconnect();
                    SetState(XenbusState.Closed);
                    _released.TrySetResult();
                    break;
                case XenbusState.Initialised or XenbusState.Connected when _detaching:
                    break;
                case XenbusState.Initialising:
                    Disconnect();
                    SetState(XenbusState.InitWait);
                    break;
                case XenbusState.Initialised or XenbusState.Connected:
                    Connect();
                    break;
                case XenbusState.Closing:
                    Disconnect();
                    SetState(XenbusState.Closing);
                    break;
                case XenbusState.Closed or XenbusState.Unknown:
                    Disconnect();
                    SetState(XenbusState.Closed);
                    if (_detaching)
                    {
                        _released.TrySetResult();
                    }

                    break;
                default:
                    break;
            }
        }

        // Requests that were on the ring before it was connected came with no event.
        _wake.Set();
    }

    private void Connect()
    {
        if (!BlockConnection.TryRead(_store, _front, MaxRingPageOrder, out BlockConnection? wanted, out string? why))
        {
            Fail(why);
            return;
        }

        if (_ring is not null && wanted.Equals(_connection))
        {
            return;
        }

        Disconnect();
        _ring = wanted.MapRing(_frontend);
        if (_ring is null)
        {
            Fail("the ring's pages can't be mapped");
            return;
        }

        if (!_frontend.TryConnect(wanted.Port, () => _wake.Set(), out _link))
        {
            Fail($"event channel {wanted.Port} can't be connected");
            return;
        }

        _connection = wanted;
        SetState(XenbusState.Connected);
    }

    private void Disconnect()
    {
        _link?.Dispose();
        _link = null;
        _ring?.Dispose();
        _ring = null;
        _connection = null;
    }

    private void Fail(string why)
    {
        Disconnect();
        _frontend.Log.AddOnce($"{_name}: {why}");
        _store.Write($"/local/domain/0/error{_back["/local/domain/0".Length..]}/error", why);
        SetState(XenbusState.Closing);
    }

    private void Run()
    {
        while (true)
        {
            _wake.WaitOne();
            bool more;
            do
            {
                if (_stopping)
                {
                    return;
                }

                lock (_gate)
                {
                    more = _ring is not null && ProcessRound();
                }
            }
            while (more);
        }
    }

    // Serves at most as many requests as the ring holds, so that a frontend that wants to close needn't wait for long.
    private bool ProcessRound()
    {
        BlockRing ring = _ring!;
        for (uint i = 0; i < ring.Size && ring.TryTake(out BlockRequest request); i++)
        {
            ring.Respond(request, _processor.Process(request));
            if (ring.Push())
            {
                _link!.Notify();
            }
        }

        if (ring.IsBroken)
        {
            Fail("the frontend's ring indices make no sense");
            return false;
        }

        return ring.HasMore();
    }
}
