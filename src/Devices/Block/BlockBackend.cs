using Dbt.Devices.Store;
using Dbt.Runtime;

namespace Dbt.Devices.Block;

/// <summary>
/// A virtual disk's back end: negotiates with the frontend through xenstore (states and nodes of public/io/blkif.h) and has its rings served. The
/// frontend may close and open again, as a boot loader and the kernel after it do; every connection reads the frontend's nodes anew. State changes
/// are answered before the frontend's write to xenstore returns, unless requests are under way: then when the last of them is done.
/// </summary>
internal sealed partial class BlockBackend : IDetachable
{
    // As Linux' back end keeps for a queue: the 11 segments of 32 requests, three times.
    private const int PersistentGrants = 1056;
    private const int Workers = 8;

    private readonly XenStore _store;
    private readonly BlockDisk _disk;
    private readonly BlockNodes _nodes;
    private readonly IDisposable _watch;
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Guards what follows.
    private readonly Lock _gate = new();
    private XenbusState _state = XenbusState.InitWait;
    private BlockSession? _session;
    private bool _failed, _detaching, _disposed;

    /// <summary>Publishes the disk and starts to serve it. The image is disposed with this.</summary>
    /// <exception cref="HostException">The image can't be a disk of the wanted sector size; the image is the caller's still.</exception>
    public BlockBackend(XenStore store, IFrontend frontend, DiskConfiguration disk, IDiskImage image)
        : this(store, frontend, disk, image, saved: null)
    {
    }

    /// <summary>Publishes the disk and starts to serve it or, with a saved state, finds its nodes there and is held until <see cref="Release"/>.</summary>
    /// <exception cref="HostException">The image can't be a disk of the wanted sector size; the image is the caller's still.</exception>
    public BlockBackend(XenStore store, IFrontend frontend, DiskConfiguration disk, IDiskImage image, SavedBlockState? saved)
    {
        int sectorSize = disk.SectorSize ?? image.SectorSizes.Logical;
        if (sectorSize < image.SectorSizes.Logical || image.Sectors < (ulong)(sectorSize / BlockDisk.Unit))
        {
            throw new HostException(sectorSize < image.SectorSizes.Logical
                ? $"disk image '{disk.Path}' is a device with sectors of {image.SectorSizes.Logical} bytes, it can't have ones of {sectorSize}"
                : $"disk image '{disk.Path}' is smaller than one sector of {sectorSize} bytes");
        }

        Configuration = disk;
        _store = store;
        string name = $"disk {disk.Device.Name}";
        int granularity = disk.Discard && image.DiscardGranularity > 0 ? Math.Max(image.DiscardGranularity, sectorSize) : 0;
        _disk = new BlockDisk(frontend, image, name, sectorSize, granularity, new BlockWorkers(name, Workers));
        _nodes = new BlockNodes(store, _disk, disk);
        if (saved is null)
        {
            _nodes.Publish();
        }
        else
        {
            Restore(saved);
        }

        _watch = store.Watch(_nodes.Front + "/state", _ => Step());
    }

    /// <summary>Takes the image's lock; see <see cref="IDiskImage.TryLock"/>.</summary>
    public bool TryLock() => _disk.Image.TryLock();

    /// <summary>The disk as configured.</summary>
    public DiskConfiguration Configuration { get; }

    /// <summary>Completes when the guest has let go of the disk after <see cref="BeginDetach"/>.</summary>
    public Task Released => _released.Task;

    /// <summary>What there is to tell of the disk now.</summary>
    public DiskStatus Status => new(Configuration, _disk.Sectors * BlockDisk.Unit, (int)_state, ReadFront("event-channel"), ReadFront("ring-ref") ?? ReadFront("ring-ref0"), _nodes.Back, _disk.Counters.Traffic);

    /// <summary>
    /// Asks the guest to let go of the disk, as <c>xl block-detach</c> does; it is served until the guest has closed it. Nothing new where
    /// that was asked before.
    /// </summary>
    public void BeginDetach()
    {
        _nodes.Write("online", "0");
        lock (_gate)
        {
            _detaching = true;
            if (_state != XenbusState.Closed)
            {
                SetState(XenbusState.Closing);
            }
        }

        Step();
    }

    /// <summary>Tells the guest how large the image is now. A frontend looks when the connected state is written again.</summary>
    /// <returns>The size, bytes.</returns>
    public ulong Resize()
    {
        _disk.Image.Refresh();
        lock (_gate)
        {
            _nodes.WriteSize();
            if (_state == XenbusState.Connected && !_disposed)
            {
                WriteState();
            }
        }

        return _disk.Sectors * BlockDisk.Unit;
    }

    /// <summary>Finishes what is on the rings, disconnects, and removes the disk's nodes.</summary>
    public void Dispose()
    {
        _watch.Dispose();
        BlockSession? session;
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            session = _session;
            _session = null;
        }

        session?.Finish();
        session?.Dispose();
        _disk.Workers.Dispose();
        _nodes.Remove();
        _disk.Image.Dispose();
        _released.TrySetResult();
    }

    private uint? ReadFront(string node) => BlockConnection.ReadNumber(_store, $"{_nodes.Front}/{node}");

    private void SetState(XenbusState state)
    {
        if (_state != state)
        {
            _state = state;
            WriteState();
        }
    }

    private void WriteState() => _nodes.Write("state", ((int)_state).ToString(System.Globalization.CultureInfo.InvariantCulture));

    // Goes on to what the frontend's state asks for, as far as that is possible now. On the thread of whoever wrote that state, or completed the
    // last request.
    private void Step()
    {
        lock (_gate)
        {
            if (_disposed || _held)
            {
                return;
            }

            XenbusState front = _nodes.FrontState;
            switch (front)
            {
                case XenbusState.Initialised or XenbusState.Connected when _failed:
                    CloseTo(XenbusState.Closing);
                    break;
                case XenbusState.Initialised or XenbusState.Connected when _detaching && _session is not null:
                    break; // in use still
                case XenbusState.Initialised or XenbusState.Connected when !_detaching:
                    Connect();
                    break;
                case XenbusState.Initialising when !_detaching:
                    _failed = false;
                    CloseTo(XenbusState.InitWait);
                    break;
                case XenbusState.Closing:
                    _failed = false;
                    CloseTo(XenbusState.Closing);
                    break;
                case XenbusState.InitWait or XenbusState.Reconfiguring or XenbusState.Reconfigured:
                    break;
                default: // closed, gone, or starting over with a disk that is being detached
                    _failed = false;
                    if (CloseTo(XenbusState.Closed) && _detaching)
                    {
                        _released.TrySetResult();
                    }

                    break;
            }
        }
    }

    private void Connect()
    {
        if (!BlockConnection.TryRead(_store, _nodes.Front, out BlockConnection? wanted, out string? why))
        {
            Fail(why);
            return;
        }

        if (_session is not null && wanted.Equals(_session.Connection))
        {
            return;
        }

        if (!TryDisconnect())
        {
            return;
        }

        int persistent = Configuration.PersistentGrants ? PersistentGrants : 0;
        if (!BlockSession.TryStart(_disk, wanted, persistent, Drained, Break, out _session, out why))
        {
            Fail(why);
            return;
        }

        // One that came from elsewhere while the guest was asked to let go of it stays so.
        if (!_detaching)
        {
            SetState(XenbusState.Connected);
        }
    }

    // Lets go of the connection, then tells the state.
    // False where requests are under way: this is called again when the last is done.
    private bool CloseTo(XenbusState state)
    {
        if (!TryDisconnect())
        {
            return false;
        }

        SetState(state);
        return true;
    }

    private bool TryDisconnect()
    {
        if (_session is null)
        {
            return true;
        }

        if (!_session.TryStop())
        {
            return false;
        }

        _session.Dispose();
        _session = null;
        return true;
    }

    // A queue's ring can't be used any more.
    private void Break(BlockSession session)
    {
        lock (_gate)
        {
            if (!_disposed && session == _session)
            {
                Fail("the frontend's ring indices make no sense");
            }
        }
    }

    private void Fail(string why)
    {
        _failed = true;
        _disk.Frontend.Log.AddOnce($"{_disk.Name}: {why}");
        _nodes.WriteError(why);
        CloseTo(XenbusState.Closing);
    }
}
