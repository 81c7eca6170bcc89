using System.Diagnostics.CodeAnalysis;
using Dbt.Runtime.HostTime;
using Dbt.Runtime.Threads;

namespace Dbt.Devices.Network.Frontend;

/// <summary>
/// One pair of rings and the thread that serves it. The thread lives as long as the card does, the rings as long as a connection. It sleeps
/// until the guest sends an event, or the other end of the cable has room again.
/// </summary>
internal sealed class VifQueue : IDisposable
{
    private readonly VifBackend _owner;
    private readonly string _name;
    private readonly HostEvent _wake = new();

    // Each guards its half: a frame to the guest doesn't wait for one from it. Neither is held while a lock of the owner is asked for.
    private readonly Lock _transmitGate = new();
    private readonly Lock _receiveGate = new();
    private TransmitSide? _transmit;
    private ControlRing? _control;
    private ReceiveSide? _receive;
    private IEventLink? _transmitLink;
    private IEventLink? _receiveLink;
    private WorkThread? _thread;
    private int _generation;
    private volatile bool _stopping;

    public VifQueue(VifBackend owner, string name)
    {
        _owner = owner;
        _name = name;
    }

    /// <summary>Wakes the thread. Any thread.</summary>
    public void Wake() => _wake.Set();

    /// <summary>Connects to a queue of the guest.</summary>
    /// <returns>False with a reason; nothing is connected then.</returns>
    public bool TryAttach(VifQueueNodes nodes, VifFeatures features, int generation, [NotNullWhen(false)] out string? why)
    {
        IFrontend frontend = _owner.Frontend;
        if (!TryMap(frontend, nodes, out SlotRing? transmit, out SlotRing? receive))
        {
            why = "the rings' pages can't be mapped";
            return false;
        }

        if (!TryConnect(frontend, nodes))
        {
            transmit.Dispose();
            receive.Dispose();
            why = $"event channel {nodes.TransmitPort} or {nodes.ReceivePort} can't be connected";
            return false;
        }

        lock (_transmitGate)
        {
            _generation = generation;
            _transmit = new TransmitSide(
                frontend, transmit, _transmitLink!, _owner.Backend, _owner.Multicast, _owner.Addresses, _owner.Allowance, _owner.Counters, _name);
        }

        lock (_receiveGate)
        {
            _receive = new ReceiveSide(frontend, receive, _receiveLink ?? _transmitLink!, features, _owner.Counters, _name);
        }

        _thread ??= WorkThread.Start(_name, Run);

        why = null;
        return true;
    }

    /// <summary>Connects the control ring, which this queue's thread serves too.</summary>
    /// <returns>False where its page or its port can't be had.</returns>
    public bool TryAttachControl(uint reference, uint port, int queues, FlowSteering steering)
    {
        IFrontend frontend = _owner.Frontend;
        if (!frontend.TryMapGrant(reference, true, out ISharedPage? page))
        {
            return false;
        }

        var ring = new SlotRing(page, ControlRing.SlotSize);
        if (!frontend.TryConnect(port, Wake, out IEventLink? link))
        {
            ring.Dispose();
            return false;
        }

        lock (_transmitGate)
        {
            _control = new ControlRing(frontend, ring, link, queues, steering, changed => _owner.Steering = changed);
        }

        return true;
    }

    /// <summary>Gives up the rings. A round that is under way is finished before.</summary>
    /// <param name="comesBack">Whether they are taken up again later: what is on them and not answered stays.</param>
    public void Detach(bool comesBack = false)
    {
        lock (_transmitGate)
        {
            if (comesBack)
            {
                _transmit?.Leave();
            }
            else
            {
                _transmit?.Dispose();
            }

            _transmit = null;
            _control?.Dispose();
            _control = null;
        }

        lock (_receiveGate)
        {
            _receive?.Dispose();
            _receive = null;
        }

        _transmitLink?.Dispose();
        _transmitLink = null;
        _receiveLink?.Dispose();
        _receiveLink = null;
    }

    /// <summary>Gives the guest a frame; one for a queue that isn't connected is dropped.</summary>
    /// <returns>False where there is no room.</returns>
    public bool TrySend(ReadOnlySpan<byte> frame, FrameOffload offload, (HashType Type, uint Value)? hash)
    {
        lock (_receiveGate)
        {
            if (_receive is null && _owner.IsHeld)
            {
                return false;
            }

            if (_receive is null)
            {
                _owner.Counters.CountReceiveDrop();
                return true;
            }

            bool taken = _receive.TrySend(frame, offload, hash);
            if (_receive.IsBroken)
            {
                Wake();
            }

            return taken;
        }
    }

    /// <summary>Stops the thread. <see cref="Detach"/> comes before.</summary>
    public void Dispose()
    {
        _stopping = true;
        Wake();
        _thread?.Join();
        _wake.Dispose();
    }

    private static bool TryMap(
        IFrontend frontend, VifQueueNodes nodes, [NotNullWhen(true)] out SlotRing? transmit, [NotNullWhen(true)] out SlotRing? receive)
    {
        transmit = receive = null;
        if (!frontend.TryMapGrant(nodes.TransmitRing, true, out ISharedPage? transmitPage))
        {
            return false;
        }

        if (!frontend.TryMapGrant(nodes.ReceiveRing, true, out ISharedPage? receivePage))
        {
            transmitPage.Dispose();
            return false;
        }

        transmit = new SlotRing(transmitPage, TransmitRequest.SlotSize);
        receive = new SlotRing(receivePage, ReceiveSide.SlotSize);
        return true;
    }

    private bool TryConnect(IFrontend frontend, VifQueueNodes nodes)
    {
        if (!frontend.TryConnect(nodes.TransmitPort, Wake, out _transmitLink))
        {
            return false;
        }

        if (nodes.ReceivePort == nodes.TransmitPort || frontend.TryConnect(nodes.ReceivePort, Wake, out _receiveLink))
        {
            return true;
        }

        _transmitLink.Dispose();
        _transmitLink = null;
        return false;
    }

    private void Run()
    {
        long wait = -1;
        while (true)
        {
            _wake.Wait(wait);
            RoundResult result;
            do
            {
                if (_stopping)
                {
                    return;
                }

                result = Serve(out wait);
            }
            while (result == RoundResult.More);
        }
    }

    // One round over all rings; how long to sleep behind it, in nanoseconds, negative for as long as nothing happens.
    private RoundResult Serve(out long wait)
    {
        wait = -1;
        string? failure = null;
        RoundResult result = RoundResult.Idle;
        int generation;
        lock (_transmitGate)
        {
            generation = _generation;
            if (_transmit is not null)
            {
                result = _transmit.Round();
                failure = result == RoundResult.Failed ? _transmit.Failure : null;
                wait = result == RoundResult.Stalled && _transmit.Wait is { } time ? (long)time.TotalNanoseconds + 1 : -1;
            }

            if (_control is not null)
            {
                RoundResult control = _control.Round();
                failure ??= control == RoundResult.Failed ? "the control ring's indices make no sense" : null;
                result = control == RoundResult.More ? RoundResult.More : result;
            }
        }

        bool room;
        lock (_receiveGate)
        {
            room = _receive is not null && _receive.TakeRoomAvailable();
            failure ??= _receive is { IsBroken: true } ? "the frontend's receive ring indices make no sense" : null;
        }

        if (failure is not null)
        {
            _owner.Fail(generation, failure);
            return RoundResult.Failed;
        }

        if (room)
        {
            _owner.RaiseRoomAvailable();
        }

        return result;
    }
}
