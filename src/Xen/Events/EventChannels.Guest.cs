using Dbt.Xen.Abi;

namespace Dbt.Xen.Events;

/// <summary>What the guest itself asks of its channels; results are 0 or a negative error, as EVTCHNOP_* return them.</summary>
public sealed partial class EventChannels
{
    /// <summary>EVTCHNOP_alloc_unbound.</summary>
    internal int AllocateUnbound(ushort remote, out uint port)
    {
        lock (_lock)
        {
            if (!TryTakePort(out port, out EventChannel channel))
            {
                return -Errno.ENOSPC;
            }

            channel.State = ChannelState.Unbound;
            channel.RemoteDomain = Domain.IsSelf(remote) ? Domain.Id : remote;
            return 0;
        }
    }

    /// <summary>EVTCHNOP_bind_interdomain.</summary>
    internal int BindInterdomain(ushort remoteId, uint remotePort, out uint port)
    {
        port = 0;
        Domain? remote = Domain.IsSelf(remoteId) ? Domain : Domain.Hypervisor.Find(remoteId);
        if (remote is null)
        {
            return -Errno.ESRCH;
        }

        using Locks locks = new(this, remote.Events);
        if (!TryTakePort(out uint taken, out EventChannel local))
        {
            return -Errno.ENOSPC;
        }

        // The port that was taken is still free here, so a guest that names it gets the same error as for any free port.
        if (remote.Events.Find(remotePort) is not { State: ChannelState.Unbound } other || other.RemoteDomain != Domain.Id)
        {
            return -Errno.EINVAL;
        }

        local.State = ChannelState.Interdomain;
        local.RemoteDomain = remote.Id;
        local.Remote = remote;
        local.RemotePort = remotePort;
        other.State = ChannelState.Interdomain;
        other.RemoteDomain = Domain.Id;
        other.Remote = Domain;
        other.RemotePort = taken;

        // A signal sent before the two were connected is lost; one that is too many does no harm.
        Deliver(taken, local);
        port = taken;
        return 0;
    }

    /// <summary>EVTCHNOP_bind_virq.</summary>
    internal int BindVirq(uint virq, uint vcpu, out uint port)
    {
        port = 0;
        if (virq >= Virq.Count || (Virq.IsGlobal((int)virq) && vcpu != 0))
        {
            return -Errno.EINVAL;
        }

        if (vcpu >= Domain.Vcpus.Count)
        {
            return -Errno.ENOENT;
        }

        lock (_lock)
        {
            if (_virqs.ContainsKey(((int)vcpu, (int)virq)))
            {
                return -Errno.EEXIST;
            }

            if (!TryTakePort(out port, out EventChannel channel))
            {
                return -Errno.ENOSPC;
            }

            channel.State = ChannelState.Virq;
            channel.Vcpu = (int)vcpu;
            channel.Virq = (int)virq;
            _virqs[((int)vcpu, (int)virq)] = port;
        }

        if (virq == Virq.Timer)
        {
            Domain.Vcpus[(int)vcpu].Timers.VirqBound();
        }

        return 0;
    }

    /// <summary>EVTCHNOP_bind_ipi.</summary>
    internal int BindIpi(uint vcpu, out uint port)
    {
        port = 0;
        if (vcpu >= Domain.Vcpus.Count)
        {
            return -Errno.ENOENT;
        }

        lock (_lock)
        {
            if (!TryTakePort(out port, out EventChannel channel))
            {
                return -Errno.ENOSPC;
            }

            channel.State = ChannelState.Ipi;
            channel.Vcpu = (int)vcpu;
            return 0;
        }
    }

    /// <summary>EVTCHNOP_bind_vcpu.</summary>
    internal int BindVcpu(uint port, uint vcpu)
    {
        if (vcpu >= Domain.Vcpus.Count)
        {
            return -Errno.ENOENT;
        }

        lock (_lock)
        {
            EventChannel? channel = Find(port);
            bool movable = channel?.State switch
            {
                ChannelState.Unbound or ChannelState.Interdomain => true,
                ChannelState.Virq => Virq.IsGlobal(channel.Virq),
                _ => false,
            };
            if (!movable)
            {
                return -Errno.EINVAL;
            }

            channel!.Vcpu = (int)vcpu;
            return 0;
        }
    }

    /// <summary>EVTCHNOP_send.</summary>
    internal int Send(uint port)
    {
        Domain? remote;
        uint remotePort;
        lock (_lock)
        {
            EventChannel? channel = Find(port);
            switch (channel?.State)
            {
                case ChannelState.Ipi:
                    Deliver(port, channel);
                    return 0;
                case ChannelState.Unbound:
                    return 0;
                case ChannelState.Interdomain when channel.Backend is { } backend:
                    Interlocked.Increment(ref _sent);
                    backend.OnSignal();
                    return 0;
                case ChannelState.Interdomain when channel.Remote == Domain:
                    Deliver(channel.RemotePort, _ports[channel.RemotePort]!);
                    return 0;
                case ChannelState.Interdomain:
                    (remote, remotePort) = (channel.Remote, channel.RemotePort);
                    break;
                default:
                    return -Errno.EINVAL;
            }
        }

        // The other domain may have closed its end since; its lock is taken alone, so the two can't wait for each other.
        remote?.Events.DeliverFrom(Domain, port, remotePort);
        return 0;
    }

    /// <summary>EVTCHNOP_unmask.</summary>
    internal int Unmask(uint port)
    {
        lock (_lock)
        {
            if (port == 0 || port >= _ports.Length)
            {
                return -Errno.EINVAL;
            }

            _abi.Unmask(port, _ports[port]);
            return 0;
        }
    }

    /// <summary>EVTCHNOP_close.</summary>
    internal int Close(uint port)
    {
        while (true)
        {
            Domain? peer;
            lock (_lock)
            {
                if (Find(port) is not { } channel)
                {
                    return -Errno.EINVAL;
                }

                peer = channel.Remote;
                if (peer is null || peer == Domain)
                {
                    Release(port, channel);
                    return 0;
                }
            }

            using Locks locks = new(this, peer.Events);
            if (Find(port) is { } again && again.Remote == peer)
            {
                Release(port, again);
                return 0;
            }
        }
    }

    /// <summary>EVTCHNOP_set_priority.</summary>
    internal int SetPriority(uint port, uint priority)
    {
        lock (_lock)
        {
            return Find(port) is { } channel ? _abi.SetPriority(channel, priority) : -Errno.EINVAL;
        }
    }

    /// <summary>
    /// EVTCHNOP_reset: closes everything, what backends are connected to included, and goes back to the 2-level ABI. Can be interrupted and called again (XSA-344).
    /// </summary>
    /// <param name="shouldStop">Whether to come back later.</param>
    /// <returns>0, -ERESTART where it stopped, -EAGAIN where ports were bound meanwhile.</returns>
    internal int Reset(Func<bool> shouldStop)
    {
        const uint Stride = 256;
        while (true)
        {
            uint port;
            lock (_lock)
            {
                port = _nextReset;
                if (port >= _ports.Length)
                {
                    _nextReset = 1;
                    if (InUse().Any())
                    {
                        return -Errno.EAGAIN;
                    }

                    break;
                }

                _nextReset = port + Stride - (port % Stride);
            }

            for (uint end = port + Stride - (port % Stride); port < end; port++)
            {
                Close(port);
            }

            if (shouldStop())
            {
                return -Errno.ERESTART;
            }
        }

        LeaveFifo();
        return 0;
    }

    /// <summary>EVTCHNOP_status.</summary>
    internal int Status(uint port, out ChannelState state, out int vcpu, out uint detail, out uint detailPort)
    {
        (state, vcpu, detail, detailPort) = (ChannelState.Free, 0, 0, 0);
        lock (_lock)
        {
            if (port == 0 || port >= _ports.Length)
            {
                return -Errno.EINVAL;
            }

            if (_ports[port] is not { } channel)
            {
                return 0;
            }

            (state, vcpu) = (channel.State, channel.Vcpu);
            (detail, detailPort) = state switch
            {
                ChannelState.Unbound => (Named(channel.RemoteDomain), 0u),
                ChannelState.Interdomain => (Named(channel.RemoteDomain), channel.RemotePort),
                ChannelState.Virq => ((uint)channel.Virq, 0u),
                _ => (0u, 0u),
            };
            return 0;
        }
    }

    private uint _nextReset = 1;

    // Its own id is the one that it knows.
    private uint Named(ushort id) => id == Domain.Id ? Domain.GuestId : id;

    private void DeliverFrom(Domain sender, uint senderPort, uint port)
    {
        lock (_lock)
        {
            if (Find(port) is { State: ChannelState.Interdomain } channel && channel.Remote == sender && channel.RemotePort == senderPort)
            {
                Deliver(port, channel);
            }
        }
    }

    /// <summary>Frees a port; the locks of both sides are held.</summary>
    private void Release(uint port, EventChannel channel)
    {
        switch (channel.State)
        {
            case ChannelState.Virq:
                _virqs.Remove((Virq.IsGlobal(channel.Virq) ? 0 : channel.Vcpu, channel.Virq));
                break;
            case ChannelState.Interdomain when channel.Remote is { } remote:
                EventChannel other = remote.Events._ports[channel.RemotePort]!;
                other.State = ChannelState.Unbound;
                other.RemoteDomain = Domain.Id;
                other.Remote = null;
                break;
        }

        channel.Reset();
        _lowestFree = Math.Min(_lowestFree, port);
        if (!_closed)
        {
            _abi.ClearPending(port);
        }
    }

    /// <summary>Both domains' locks, in the order of their ids; one lock where both are the same.</summary>
    private readonly ref struct Locks
    {
        private readonly EventChannels _first, _second;

        public Locks(EventChannels a, EventChannels b)
        {
            (_first, _second) = a.Domain.Id <= b.Domain.Id ? (a, b) : (b, a);
            _first._lock.Enter();
            if (_second != _first)
            {
                _second._lock.Enter();
            }
        }

        public void Dispose()
        {
            if (_second != _first)
            {
                _second._lock.Exit();
            }

            _first._lock.Exit();
        }
    }
}
