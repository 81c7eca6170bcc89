namespace Dbt.Devices.Network.Nat;

/// <summary>
/// The network that needs no root: the guest's packets end here and go out as connections, datagrams and echoes of this process, as QEMU's user
/// network and passt do it. One thread owns everything; it sleeps where there is neither a frame nor a socket nor a deadline.
/// </summary>
public sealed class UserNetwork : INetworkBackend
{
    private const int QueueBytes = 1 << 20, BatchFrames = 64;

    private readonly FrameQueue _queue = new(QueueBytes);
    private readonly NatStack _stack;
    private readonly Thread _thread;
    private INetworkEnd? _guest;
    private int _room;
    private volatile bool _stopping;

    /// <summary>Starts it, its forwards listening.</summary>
    /// <exception cref="Runtime.HostException">A port of the host can't be had.</exception>
    public UserNetwork(UserNetworkConfiguration configuration)
    {
        _stack = new NatStack(configuration, TimeProvider.System);
        _thread = new Thread(Run) { Name = "user network", IsBackground = true };
    }

    /// <inheritdoc/>
    public event Action? RoomAvailable;

    /// <summary>Everything is taken undone: nothing is ever cut or summed here.</summary>
    public LinkFeatures Features => new(ChecksumBlank: true, SegmentV4: true, SegmentV6: true);

    /// <summary>Where the forwards listen, in their order.</summary>
    public IReadOnlyList<System.Net.IPEndPoint> ForwardPorts => _stack.ForwardPorts;

    /// <inheritdoc/>
    public void Connect(INetworkEnd guest)
    {
        _guest = guest;
        _stack.Link.Connect(guest);
        guest.RoomAvailable += GuestHasRoom;
        _thread.Start();
    }

    /// <inheritdoc/>
    public bool Send(ReadOnlySpan<byte> frame, FrameOffload offload)
    {
        if (!_queue.TryAdd(frame, offload))
        {
            return false;
        }

        _stack.Poller.Wake();
        return true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stopping = true;
        _stack.Poller.Wake();
        if (_guest is INetworkEnd guest)
        {
            guest.RoomAvailable -= GuestHasRoom;
            _thread.Join();
        }

        _stack.Dispose();
    }

    private void GuestHasRoom()
    {
        Volatile.Write(ref _room, 1);
        _stack.Poller.Wake();
    }

    private bool HasWork() => _queue.HasFrames || Volatile.Read(ref _room) != 0 || _stopping;

    private void Run()
    {
        Func<bool> hasWork = HasWork;
        while (!_stopping)
        {
            if (Interlocked.Exchange(ref _room, 0) != 0)
            {
                _stack.RoomAvailable();
            }

            // Acknowledgements are owed for a batch, not for a frame.
            for (int i = 0; i < BatchFrames && _queue.TryPeek(out ReadOnlySpan<byte> frame, out FrameOffload offload); i++)
            {
                _stack.Input(frame, offload);
                _queue.Remove();
            }

            if (_queue.HasRoomAgain())
            {
                RoomAvailable?.Invoke();
            }

            _stack.Step(_queue.HasFrames ? 0 : -1, hasWork);
        }
    }
}
