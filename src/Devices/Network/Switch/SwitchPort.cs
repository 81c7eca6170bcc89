using Dbt.Devices.Network.Offload;

namespace Dbt.Devices.Network.Switch;

/// <summary>A port of a <see cref="VirtualSwitch"/>.</summary>
public sealed class SwitchPort : INetworkBackend, IEquatable<SwitchPort>
{
    private readonly VirtualSwitch _switch;

    // Guards what follows. Taken before the guest's own locks, never within one.
    private readonly Lock _gate = new();
    private readonly FrameQueue _waiting = new();
    private readonly FrameAdapter _adapter = new();
    private INetworkEnd? _guest;
    private int _sent;
    private long _dropped;

    internal SwitchPort(VirtualSwitch @switch) => _switch = @switch;

    /// <inheritdoc/>
    /// <remarks>A switch always takes a frame, so this is never raised.</remarks>
    public event Action? RoomAvailable
    {
        add { }
        remove { }
    }

    /// <inheritdoc/>
    /// <remarks>What the receiver doesn't take undone is done at its port.</remarks>
    public LinkFeatures Features => new(true, true, true);

    /// <summary>Frames that were dropped because the guest was too slow for them.</summary>
    public long Dropped => Volatile.Read(ref _dropped);

    /// <inheritdoc/>
    public void Connect(INetworkEnd guest)
    {
        lock (_gate)
        {
            _guest = guest;
        }

        guest.RoomAvailable += Drain;
    }

    /// <inheritdoc/>
    public bool Send(ReadOnlySpan<byte> frame, FrameOffload offload)
    {
        if (frame.Length >= FrameHeaders.EthernetLength)
        {
            _switch.Forward(this, frame, offload);
        }

        return true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _switch.Remove(this);
        INetworkEnd? guest;
        lock (_gate)
        {
            guest = _guest;
            _guest = null;
            _waiting.Clear();
        }

        if (guest is not null)
        {
            guest.RoomAvailable -= Drain;
        }
    }

    /// <inheritdoc/>
    public bool Equals(SwitchPort? other) => ReferenceEquals(this, other);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => ReferenceEquals(this, obj);

    /// <inheritdoc/>
    public override int GetHashCode() => System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(this);

    /// <summary>Gives the guest a frame, now or when it has room.</summary>
    internal void Deliver(ReadOnlySpan<byte> frame, FrameOffload offload)
    {
        lock (_gate)
        {
            if (_guest is null)
            {
                return;
            }

            int sent = 0;
            if (_waiting.IsEmpty && _adapter.Send(_guest, frame, offload, ref sent))
            {
                return;
            }

            bool first = _waiting.IsEmpty;
            if (!_waiting.TryAdd(frame, offload))
            {
                Interlocked.Increment(ref _dropped);
            }
            else if (first)
            {
                _sent = sent;
            }
        }
    }

    private void Drain()
    {
        lock (_gate)
        {
            while (_guest is not null && !_waiting.IsEmpty)
            {
                ReadOnlySpan<byte> frame = _waiting.Peek(out FrameOffload offload);
                if (!_adapter.Send(_guest, frame, offload, ref _sent))
                {
                    return;
                }

                _sent = 0;
                _waiting.Remove();
            }
        }
    }
}
